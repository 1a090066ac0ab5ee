package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"crmsync/sync/store/storetest"
)

// natsServer builds the NATS server that the program embeds, as the server
// that it is, once.
var natsServer = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(built), "nats-server")
	build := exec.Command("go", "build", "-o", path, "github.com/nats-io/nats-server/v2")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

// A node is a NATS server as a process of its own, with JetStream, that syncs
// always. It can be killed and started again.
type node struct {
	t       *testing.T
	name    string
	config  string
	address string // host:port
	process *process
	routes  []*wire // to and from the other nodes
}

// nodes starts a server, or a cluster of several.
func nodes(t *testing.T, n int) []*node {
	t.Helper()
	list := make([]*node, n)
	ports := make([]int, n)
	for i := range list {
		list[i], ports[i] = &node{t: t, name: "n" + strconv.Itoa(i)}, storetest.FreePort(t)
	}
	for i, s := range list {
		var routes []string
		for j, other := range list {
			if i != j {
				w := newWire(t, "127.0.0.1:"+strconv.Itoa(ports[j]))
				s.routes, other.routes = append(s.routes, w), append(other.routes, w)
				routes = append(routes, "nats-route://"+w.address())
			}
		}
		dir := t.TempDir()
		port := storetest.FreePort(t)
		text := fmt.Sprintf("server_name: %s\nlisten: 127.0.0.1:%d\nmax_payload: 8MB\njetstream { store_dir: %q, sync_interval: always }\n", s.name, port, dir)
		if n > 1 {
			// They know each other by the wires only.
			text += fmt.Sprintf("cluster { name: c, listen: 127.0.0.1:%d, no_advertise: true, routes: [%s] }\n", ports[i], strings.Join(routes, ", "))
		}
		config := filepath.Join(dir, "nats.conf")
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.config, s.address = config, "127.0.0.1:"+strconv.Itoa(port)
		s.launch()
	}
	for _, s := range list {
		s.listening()
	}
	return list
}

// partition cuts the node off from the others, which its clients do not
// notice.
func (s *node) partition(on bool) {
	for _, w := range s.routes {
		w.partition(on)
	}
}

// leads reports whether the node leads a stream.
func (s *node) leads(stream string) bool {
	return strings.Contains(s.ask("$JS.API.STREAM.INFO."+stream, ""), fmt.Sprintf(`"leader":%q`, s.name))
}

func (s *node) launch() {
	s.t.Helper()
	path, err := natsServer()
	if err != nil {
		s.t.Fatal(err)
	}
	s.process = startCommand(s.t, nil, path, "-c", s.config)
}

func (s *node) listening() {
	s.t.Helper()
	eventually(s.t, 10*time.Second, "the NATS server listens", func() bool {
		c, err := net.Dial("tcp", s.address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// start starts the server again.
func (s *node) start() { s.launch(); s.listening() }

// addresses are the servers' URLs, as the configuration takes them.
func addresses(list []*node) string {
	urls := make([]string, len(list))
	for i, s := range list {
		urls[i] = "nats://" + s.address
	}
	return strings.Join(urls, ",")
}

// nodeWith starts a server with a configuration of one's own.
func nodeWith(t *testing.T, config string) *node {
	t.Helper()
	address := freeAddress(t)
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte("listen: "+address+"\n"+config), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &node{t: t, config: file, address: address}
	s.start()
	return s
}

func freeAddress(t *testing.T) string {
	t.Helper()
	return "127.0.0.1:" + strconv.Itoa(storetest.FreePort(t))
}
