package stream_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// The configuration that docker-compose.yml mounts, read by the server itself
// with its files where the container has them.
func TestTheComposeFilesBrokerSyncsAlways(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	put := func(path, text string) string {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	text, err := os.ReadFile("../../config/compose/nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	put("run/secrets/nats_auth", "authorization { token: \"t0ken\" }\n")
	o, err := server.ProcessConfigFile(put("etc/nats/nats.conf", string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if !o.SyncAlways || o.MaxPayload != 8<<20 || o.Authorization != "t0ken" || !o.JetStream {
		t.Errorf("sync always %v, max payload %d, token %q, JetStream %v", o.SyncAlways, o.MaxPayload, o.Authorization, o.JetStream)
	}
}
