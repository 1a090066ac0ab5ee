package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/sync/directory"
)

// A load record has what has been done since the one before, and nothing is left
// out or counted twice when one could not be kept.
func TestALoadRecordIsWhatHasBeenDoneSince(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	meter := newLoadMeter(m.registry, "here", func(account, status string) bool { return account == "bitrix24" && status == "503" })
	work := func(n int, took time.Duration) {
		for range n {
			m.Fact("whatsapp", connectors.KindMessage)
			m.Delivery("bitrix24", directory.MessageEntity, "created")
			m.EndToEnd("bitrix24", took)
			m.Answer(200, took)
			m.calls.WithLabelValues("bitrix24", "200").Inc()
		}
		m.calls.WithLabelValues("bitrix24", "503").Inc()
		m.calls.WithLabelValues("hubspot", "503").Inc()
		m.backlog.WithLabelValues("bitrix24").Set(float64(n))
	}
	kept := func(*Load) error { return nil }
	work(100, 150*time.Millisecond)
	first, err := meter.since(kept)
	if err != nil {
		t.Fatal(err)
	}
	if a := first.Accounts["bitrix24"]; a.Delivered["created"] != 100 || a.Delays.Count != 100 || a.Delays.P99 <= 0.1 || a.Delays.P99 > 0.2 || a.QuotaRefusals != 1 || a.Backlog != 100 {
		t.Errorf("the first: %+v", a)
	}
	work(10, 4*time.Second)
	if _, err := meter.since(func(*Load) error { return errors.New("the disk is full") }); err == nil {
		t.Error("that it could not be kept is no error")
	}
	work(5, 4*time.Second)
	second, err := meter.since(kept)
	if err != nil {
		t.Fatal(err)
	}
	a, from := second.Accounts["bitrix24"], second.Accounts["whatsapp"]
	if a.Delivered["created"] != 15 || from.Received["message"] != 15 || a.Delays.Count != 15 || a.Delays.P50 <= 3 || a.QuotaRefusals != 2 || a.Backlog != 5 || second.Answers.Count != 15 {
		t.Errorf("the second: %+v", a)
	}
	if !second.From.Equal(first.To) || second.Goroutines == 0 || second.Accounts["hubspot"].QuotaRefusals != 0 {
		t.Errorf("the second: %+v", second)
	}
	if third, _ := meter.since(kept); third.Accounts["bitrix24"].Delays.Count != 0 || len(third.Accounts["bitrix24"].Delivered) != 0 {
		t.Errorf("nothing was done, and it is %+v", third.Accounts["bitrix24"])
	}
}

func TestDelaysOfSeveralWorkersAreOneSpread(t *testing.T) {
	t.Parallel()
	var all Delays
	bounds := []float64{0.1, 1, 3}
	all.add(Delays{Count: 90, Bounds: bounds, Counts: []int64{90, 0, 0}}, 1)
	all.add(Delays{Count: 10, Bounds: bounds, Counts: []int64{0, 0, 8}}, 1) // two were longer
	all.add(Delays{Count: 1, Bounds: bounds[:1], Counts: []int64{1}}, 1)    // of another version
	if all.Count != 100 || all.P50 > 0.1 || all.P95 <= 1 || all.P95 > 3 || all.P99 != 3 {
		t.Errorf("%+v", all)
	}
}

func TestTheFileOfLoadRecordsIsBounded(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "reports", "load.jsonl")
	for _, line := range []string{"1", "2", "3", "4", "5"} {
		if err := appendLine(file, []byte(line), 3); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); string(got) != "3\n4\n5\n" {
		t.Errorf("%q, error %v", got, err)
	}
}

// Of pages those stay whose report does, and what comes from outside is no
// markup.
func TestAPageGoesWithItsReport(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	due := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	for day := range reportsKept + 2 {
		at := due.AddDate(0, 0, day)
		_, err := keepReport(dir, "daily-", at, []byte("{}"))
		_, err2 := keepPage(dir, "daily-", at, []byte("<p>"))
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
	}
	pages, _ := filepath.Glob(filepath.Join(dir, "*.html"))
	if len(pages) != reportsKept || strings.HasSuffix(pages[0], "daily-20261122T060000Z.html") {
		t.Errorf("%d pages, the first %s", len(pages), pages[0])
	}
}
