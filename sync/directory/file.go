package directory

import (
	"mime"
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"crmsync/connectors"
)

// A File came with a message. Only what is needed to fetch it is kept.
type File struct {
	MessageID int64
	Media     connectors.Media
}

// extensions are those of the types that WhatsApp documents for media, which
// arrive without a name unless they are documents.
var extensions = map[string]string{
	"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp",
	"audio/aac": ".aac", "audio/amr": ".amr", "audio/mpeg": ".mp3", "audio/mp4": ".m4a", "audio/ogg": ".ogg",
	"video/mp4": ".mp4", "video/3gpp": ".3gp", "application/pdf": ".pdf", "text/plain": ".txt",
}

// Name is what the file of a message of the given type and time is called: as
// its sender has named it, or such as "image 2026-11-20 09.00.00.jpg".
func (f *File) Name(messageType string, at time.Time) string {
	kind, _, _ := mime.ParseMediaType(f.Media.MIMEType)
	extension := extensions[kind]
	name := plainName(f.Media.Filename)
	if name == "" {
		name = plainName(messageType)
		if name == "" {
			name = "file"
		}
		return name + at.UTC().Format(" 2006-01-02 15.04.05") + extension
	}
	if path.Ext(name) == "" {
		name += extension
	}
	return name
}

// plainName takes out of a name what a vendor or a file system could stumble
// over: paths, control characters, and more than 100 characters.
func plainName(name string) string {
	const most = 100
	name = strings.Map(func(r rune) rune {
		switch {
		case r == '/' || r == '\\':
			return '_'
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError || strings.ContainsRune(`<>:"|?*`, r):
			return -1
		}
		return r
	}, name)
	name = strings.Trim(name, " .")
	extension := path.Ext(name)
	if utf8.RuneCountInString(extension) > 10 {
		extension = ""
	}
	stem := []rune(strings.TrimSuffix(name, extension))
	if over := len(stem) + utf8.RuneCountInString(extension) - most; over > 0 {
		stem = stem[:len(stem)-over]
	}
	return strings.TrimSpace(string(stem)) + extension
}
