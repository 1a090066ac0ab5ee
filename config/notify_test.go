package config_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crmsync/config"
)

func TestReceiversOfNotifications(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "slack")
	if err := os.WriteFile(file, []byte("https://hooks.slack.com/services/S3CRET\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := good + "notify:\n  - {url_file: " + file + ", format: slack}\n  - {url: 'http://10.0.0.1/x', private: true}\n"
	c := parse(t, text, "CRMSYNC_NOTIFY_2_URL=http://10.0.0.2/y", "CRMSYNC_RETENTION_DEAD_LETTERS=48h")
	slack, other := c.Notify[0], c.Notify[1]
	if slack.URL.Reveal() != "https://hooks.slack.com/services/S3CRET" || slack.Format != "slack" || slack.Private {
		t.Errorf("the first is %+v at %q", slack, slack.URL.Reveal())
	}
	if other.URL.Reveal() != "http://10.0.0.2/y" || other.Format != "json" || !other.Private {
		t.Errorf("the second is %+v at %q", other, other.URL.Reveal())
	}
	if c.Retention.DeadLetters.Duration() != 48*time.Hour || parse(t, good).Retention.DeadLetters.Duration() != 30*24*time.Hour {
		t.Errorf("retention = %v", c.Retention)
	}
	var printed bytes.Buffer
	if err := c.Print(&printed); err != nil || strings.Contains(printed.String(), "S3CRET") || strings.Contains(printed.String(), "10.0.0.2") {
		t.Errorf("an address is printed (error %v):\n%s", err, printed.String())
	}
	_, err := config.Parse("f", []byte(good+"notify:\n  - {url: ftp://S3CRET}\n"), nil)
	if err == nil || strings.Contains(err.Error(), "S3CRET") {
		t.Errorf("finding %v", err)
	}
}

func TestReceiversHaveNamesForRules(t *testing.T) {
	t.Parallel()
	c := parse(t, good+"notify:\n  - {name: support-slack, url: 'https://x.example/1', rules_only: true}\n  - {url: 'https://x.example/2'}\n")
	if n := c.Notify[0]; n.Name != "support-slack" || !n.RulesOnly || c.Notify[1].Name != "" {
		t.Errorf("receivers %+v", c.Notify)
	}
	for text, want := range map[string]string{
		"{name: a, url: 'https://x.example'}\n  - {name: a, url: 'https://y.example'}": "receiver 1 is called a already",
		"{name: Support Team, url: 'https://x.example'}":                               "is no name for a receiver",
		"{rules_only: true, url: 'https://x.example'}":                                 "receiver 1 has no name",
	} {
		_, err := config.Parse("f", []byte(good+"notify:\n  - "+text+"\n"), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("finding %v, want %s", err, want)
		}
	}
}
