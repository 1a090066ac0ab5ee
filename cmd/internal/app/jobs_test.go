package app

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The newest reports of a job are kept, and those of others are left alone.
func TestOldReportsMakeRoom(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "reports")
	first := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
	other, err := keepReport(dir, "consistency-zoho-eu-", first.AddDate(-9, 0, 0), []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for week := range reportsKept + 3 {
		if _, err := keepReport(dir, "consistency-zoho-", first.AddDate(0, 0, 7*week), []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "consistency-zoho-2") {
			names = append(names, e.Name())
		}
	}
	if len(names) != reportsKept || slices.Min(names) != "consistency-zoho-20261213T030000Z.json" {
		t.Errorf("%d reports, the oldest %s", len(names), slices.Min(names))
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
}
