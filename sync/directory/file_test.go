package directory

import (
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
)

func TestWhatAFileIsCalled(t *testing.T) {
	at := time.Date(2026, 11, 20, 10, 0, 5, 0, time.FixedZone("", 3600))
	tests := []struct{ filename, kind, message, want string }{
		{"offerta.pdf", "application/pdf", "document", "offerta.pdf"},
		{"offerta", "application/pdf", "document", "offerta.pdf"},
		{"piano v1.2", "application/vnd.unknown", "document", "piano v1.2"},
		{"", "image/jpeg", "image", "image 2026-11-20 09.00.05.jpg"},
		{"", "audio/ogg; codecs=opus", "audio", "audio 2026-11-20 09.00.05.ogg"},
		{"", "", "", "file 2026-11-20 09.00.05"},
		{"../../etc/passwd", "text/plain", "document", "_.._etc_passwd"},
		{`c:\a\b.exe`, "", "document", "c_a_b.exe"},
		{"a\r\nb\u202e\x00.pdf", "", "document", "ab.pdf"},
		{" . ", "image/png", "image", "image 2026-11-20 09.00.05.png"},
		{"文件 報價.pdf", "", "document", "文件 報價.pdf"},
		{strings.Repeat("é", 200) + ".pdf", "", "document", strings.Repeat("é", 96) + ".pdf"},
		{"a." + strings.Repeat("b", 200), "", "document", "a." + strings.Repeat("b", 98)},
	}
	for _, tt := range tests {
		f := File{Media: connectors.Media{Filename: tt.filename, MIMEType: tt.kind}}
		if got := f.Name(tt.message, at); got != tt.want {
			t.Errorf("%q %q %q: got %q, want %q", tt.filename, tt.kind, tt.message, got, tt.want)
		}
	}
}
