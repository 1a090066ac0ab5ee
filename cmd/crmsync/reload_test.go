package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"crmsync/cmd/internal/sandbox"
)

// readiness is what /readyz says.
type readiness struct {
	Configuration string
	Revision      string `json:"mapping_revision"`
	Accounts      map[string]string
}

func readinessOf(t *testing.T, info sandbox.Info) (r readiness) {
	t.Helper()
	get(t, info.Worker.URL+"/readyz", &r)
	return r
}

// A second shop is opened and closed while the worker runs. The first does not
// notice.
func TestAccountsComeAndGoWhileTheWorkerRuns(t *testing.T) {
	t.Parallel()
	s := twoShops(t)
	s.write(t, "crmsync.yaml", s.configuration(false))
	worker := serve(t, s.worker)
	north, south := newLoad(s.north), newLoad(s.south)
	eventually(t, 20*time.Second, "the first shop is open", func() bool { return readinessOf(t, s.worker).Accounts["hubspot-north"] == "ok" })
	north.post("wamid.N1", "16665550001", "first")
	south.post("wamid.EARLY", "16665550002", "too early")
	if !north.acked["wamid.N1"] || !south.refused["wamid.EARLY"] {
		t.Fatalf("north %v, south %v", north.acked, south.refused)
	}
	eventually(t, 20*time.Second, "the first message is there", func() bool { return len(messagesIn(t, s.northCRM, "wamid.N1")) == 1 })

	s.write(t, "crmsync.yaml", s.configuration(true))
	eventually(t, 20*time.Second, "the second shop is open", func() bool { return readinessOf(t, s.worker).Accounts["hubspot-south"] == "ok" })
	south.post("wamid.S1", "16665550002", "hello")
	eventually(t, 20*time.Second, "its message is there", func() bool { return len(messagesIn(t, s.southCRM, "wamid.S1")) == 1 })
	if !worker.says("the configuration is in force", `"added":["number-south","hubspot-south"],"changed":null,"removed":null`) {
		t.Errorf("the log does not say what came:\n%s", worker.errors)
	}

	// A fault in the file: everything goes on.
	s.write(t, "crmsync.yaml", strings.Replace(s.configuration(false), "kind: hubspot", "kind: hubsport", 1))
	eventually(t, 15*time.Second, "the file is refused", func() bool {
		return strings.Contains(readinessOf(t, s.worker).Configuration, "not valid and not in force")
	})
	if !worker.says("the one before stays in force", "hubsport") {
		t.Errorf("the log does not say what is wrong:\n%s", worker.errors)
	}
	south.post("wamid.S2", "16665550002", "still here")
	eventually(t, 20*time.Second, "the second shop is still open", func() bool { return len(messagesIn(t, s.southCRM, "wamid.S2")) == 1 })

	// A token that is wrong concerns its own account, until it is right again.
	s.write(t, "crmsync.yaml", strings.Replace(s.configuration(true), s.south.HubSpot.Token, "pat-wrong", 1))
	eventually(t, 20*time.Second, "the wrong token is in use", func() bool { return strings.Contains(readinessOf(t, s.worker).Accounts["hubspot-south"], "in trouble") })
	if r := readinessOf(t, s.worker); r.Configuration != "ok" || r.Accounts["hubspot-north"] != "ok" {
		t.Errorf("/readyz says %+v", r)
	}
	south.post("wamid.S3", "16665550002", "waits for the token")

	// What cannot change now is said. SIGHUP does not wait for the watch.
	moved := strings.Replace(s.configuration(true), "listen: ", "default_region: IT\nlisten: ", 1)
	s.write(t, "crmsync.yaml", moved)
	if err := worker.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "the message has arrived with the right token", func() bool { return len(messagesIn(t, s.southCRM, "wamid.S3")) == 1 })
	if r := readinessOf(t, s.worker); !strings.Contains(r.Configuration, "default_region take effect at the next start") {
		t.Errorf("/readyz says %q", r.Configuration)
	}

	// The second shop closes.
	s.write(t, "crmsync.yaml", s.configuration(false))
	eventually(t, 20*time.Second, "the second shop is closed", func() bool { _, open := readinessOf(t, s.worker).Accounts["hubspot-south"]; return !open })
	calls := statsOf(t, s.southCRM).Calls
	south.post("wamid.LATE", "16665550002", "too late")
	north.post("wamid.N2", "16665550001", "last")
	if !south.refused["wamid.LATE"] {
		t.Error("a webhook of a closed shop is accepted")
	}
	eventually(t, 20*time.Second, "the first shop is still open", func() bool { return len(messagesIn(t, s.northCRM, "wamid.N2")) == 1 })
	if now := statsOf(t, s.southCRM); now.Calls != calls || now.DuplicateMessages > 0 || now.Messages != 3 {
		t.Errorf("the closed shop shows %+v, before %d calls", now, calls)
	}
	if n := strings.Count(worker.errors.String(), `"msg":"working for the account","account":"hubspot-north"`); n != 1 {
		t.Errorf("the first shop's worker began %d times, want once", n)
	}
	if code := worker.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// A mapping that is edited is in force a moment later, also for what is tried
// again.
func TestAMappingIsEditedWhileTheWorkerRuns(t *testing.T) {
	t.Parallel()
	s := twoShops(t)
	worker := serve(t, s.worker)
	north := newLoad(s.north)
	north.post("wamid.M1", "16665550001", "first")
	eventually(t, 20*time.Second, "the message is there", func() bool { return len(messagesIn(t, s.northCRM, "wamid.M1")) == 1 })
	s.write(t, "mapping.yaml", "version: 1\naccounts:\n  hubspot-north:\n"+strings.Replace(fieldsOfHubSpot, "crmsync_business_phone:", "crmsync_number: business_phone\n      crmsync_business_phone:", 1)+
		"  hubspot-south:\n"+fieldsOfHubSpot+"  zoho:\n    contact:\n      Phone: phone\n      Last_Name: last_name\n")
	eventually(t, 15*time.Second, "it is in force", func() bool {
		return worker.says("the configuration is in force", `"added":null,"changed":["hubspot-north"],"removed":null`)
	})
	north.post("wamid.M2", "16665550001", "second")
	eventually(t, 20*time.Second, "the new field is written", func() bool { return fieldsIn(t, s.northCRM, "16665550001")["crmsync_number"] == "+15550783881" })
}

// The configuration names another mapping, in which there is a fault. When that
// is mended both are in force, without anybody touching the configuration.
func TestAMappingIsMendedBeforeItHasEverBeenInForce(t *testing.T) {
	t.Parallel()
	s := twoShops(t)
	worker := serve(t, s.worker)
	eventually(t, 20*time.Second, "the first shop is open", func() bool { return readinessOf(t, s.worker).Accounts["hubspot-north"] == "ok" })
	mapping := func(field string) string {
		return "version: 1\naccounts:\n  hubspot-north:\n    contact:\n      phone: " + field + "\n  hubspot-south:\n    contact:\n      phone: phone\n" +
			"  zoho:\n    contact:\n      Phone: phone\n      Last_Name: last_name\n"
	}
	s.write(t, "other.yaml", mapping("fone"))
	s.write(t, "crmsync.yaml", "mapping: other.yaml\n"+s.configuration(true))
	eventually(t, 15*time.Second, "the mapping is refused", func() bool { return worker.says("the one before stays in force", "fone") })
	s.write(t, "other.yaml", mapping("phone"))
	eventually(t, 15*time.Second, "it is in force", func() bool {
		return worker.says("the configuration is in force", `"added":null,"changed":["hubspot-north","hubspot-south"],"removed":null`)
	})
}
