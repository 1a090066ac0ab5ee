package config_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// Containers do not run everywhere that the tests do; this checks what can be
// read off the files.
func TestTheComposeFile(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Services map[string]struct {
			Image       string
			Build       string
			Command     []string
			ReadOnly    bool `yaml:"read_only"`
			User        string
			Volumes     []string
			Secrets     []string
			Environment map[string]string
			Healthcheck struct{ Test []string }
		}
		Volumes map[string]any
		Secrets map[string]struct{ File string }
	}
	if err := yaml.Load(source, &file); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"worker", "nats", "postgres"} {
		s, there := file.Services[name]
		if !there || len(s.Healthcheck.Test) == 0 || len(s.Volumes) == 0 {
			t.Errorf("service %s is missing, or its health check or volume", name)
		}
		for _, secret := range s.Secrets {
			if !strings.HasPrefix(file.Secrets[secret].File, "./secrets/") {
				t.Errorf("service %s uses secret %s, which is no file in ./secrets", name, secret)
			}
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if path, isFile := strings.CutPrefix(from, "./"); isFile {
				if _, err := os.Stat("../" + path); err != nil {
					t.Errorf("service %s mounts %s: %v", name, from, err)
				}
			} else if _, declared := file.Volumes[from]; !declared {
				t.Errorf("service %s uses volume %s, which is not declared", name, from)
			}
		}
		for key, value := range s.Environment {
			if regexp.MustCompile(`(?i)password|secret|token`).MatchString(key) && !strings.HasPrefix(value, "/run/secrets/") {
				t.Errorf("service %s has %s in the file", name, key)
			}
		}
	}
	worker := file.Services["worker"]
	if !worker.ReadOnly || !strings.HasPrefix(worker.User, "65532") {
		t.Error("the worker's root is writable, or it runs as root")
	}
	// What the configuration reads is what the service is given.
	compose, err := os.ReadFile("compose/crmsync.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`/run/secrets/(\w+)`).FindAllStringSubmatch(string(compose), -1) {
		if !strings.Contains(" "+strings.Join(worker.Secrets, " ")+" ", " "+m[1]+" ") {
			t.Errorf("the configuration reads secret %s, which the worker is not given", m[1])
		}
	}
	nats, err := os.ReadFile("compose/nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"sync_interval: always", "max_payload: 8MB", "store_dir: /data"} {
		if !strings.Contains(string(nats), line) {
			t.Errorf("nats.conf lacks %q", line)
		}
	}
	image, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"CGO_ENABLED=0", "FROM scratch", "USER 65532"} {
		if !strings.Contains(string(image), line) {
			t.Errorf("the Dockerfile lacks %q", line)
		}
	}
}
