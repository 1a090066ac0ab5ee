package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"crmsync/cmd/internal/app"
	"crmsync/cmd/internal/sandbox"
	"crmsync/sync/store/storetest"
)

// accountsOf is what accounts list says, by name.
func accountsOf(t *testing.T, info sandbox.Info) map[string]app.AccountState {
	t.Helper()
	out, errs, code := runCommand(t, "accounts", "list", "--config", info.Config, "--output", "json")
	var list []app.AccountState
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != 0 {
		t.Fatalf("%s %s (exit code %d): %v", out, errs, code, err)
	}
	byName := map[string]app.AccountState{}
	for _, a := range list {
		byName[a.Name] = a
	}
	return byName
}

// accounts runs a command about the accounts and returns what it prints.
func accounts(t *testing.T, info sandbox.Info, args ...string) string {
	t.Helper()
	out, errs, code := runCommand(t, append(append([]string{"accounts"}, args...), "--config", info.Config)...)
	if code != 0 {
		t.Fatalf("accounts %v: exit code %d, %s", args, code, errs)
	}
	return out
}

// Somebody pauses an account: what is owed to it waits, over a restart too, the
// others go on, and when it is resumed it gets everything, once.
func TestAPausedAccountGetsEverythingWhenItIsResumed(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	worker := serve(t, info)
	worker.working(info)
	eventually(t, 10*time.Second, "HubSpot is said to work here", func() bool {
		a := accountsOf(t, info)["hubspot"]
		return a.State == app.Working && a.Where == "here" && a.Kind == "hubspot"
	})
	if out := accounts(t, info, "pause", "hubspot", "--reason", "they migrate"); !strings.HasPrefix(out, "hubspot is paused") {
		t.Errorf("pause says %s", out)
	}
	paused := `crmsync_account_paused{account="hubspot"}`
	began := time.Now()
	eventually(t, 10*time.Second, "the worker has noticed", func() bool { return metric(t, info, paused) == 1 })
	t.Logf("the worker noticed %v after the command", time.Since(began).Round(time.Millisecond))
	if metric(t, info, `crmsync_account_paused{account="zoho"}`) != 0 {
		t.Error("Zoho is paused too")
	}
	var ready struct{ Accounts map[string]string }
	get(t, info.Worker.URL+"/readyz", &ready)
	if !strings.HasPrefix(ready.Accounts["hubspot"], "paused by ") || ready.Accounts["zoho"] != "ok" {
		t.Errorf("/readyz says %v", ready.Accounts)
	}
	calls := stats(t, info).Calls
	l := newLoad(info)
	for n := range 20 {
		l.post(fmt.Sprintf("wamid.PAUSED%d", n), fmt.Sprintf("1666555%04d", n%7), "hello")
	}
	if len(l.acked) != 20 {
		t.Fatalf("%d of 20 webhooks are accepted", len(l.acked))
	}
	zoho := info.CRMs()[1]
	eventually(t, 10*time.Second, "Zoho has all of them", func() bool { return statsOf(t, zoho).Messages == 20 })
	if code := worker.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if a := accountsOf(t, info)["zoho"]; a.State != app.Stopped || a.LastSuccess == nil {
		t.Errorf("without a worker Zoho is %+v", a)
	}
	serve(t, info)
	time.Sleep(3 * time.Second)
	if now := stats(t, info); now.Calls != calls || now.Messages != 0 {
		t.Errorf("HubSpot has had %d calls while paused, and has %d messages", now.Calls-calls, now.Messages)
	}
	a := accountsOf(t, info)["hubspot"]
	if a.State != app.Paused || a.PausedBy == "" || a.PausedAt == nil || a.PauseReason != "they migrate" || a.Backlog != 27 || a.OldestWaiting == nil || time.Since(*a.OldestWaiting) > time.Minute {
		t.Errorf("HubSpot is %+v, want it paused with 7 contacts and 20 messages waiting", a)
	}
	if out := accounts(t, info, "list"); !strings.Contains(out, "paused") || !strings.Contains(out, "they migrate") {
		t.Errorf("the table says\n%s", out)
	}
	accounts(t, info, "resume", "hubspot")
	began = time.Now()
	eventually(t, 5*time.Second, "the first message is in HubSpot", func() bool { return stats(t, info).Messages > 0 })
	t.Logf("the first message came %v after it was resumed", time.Since(began).Round(time.Millisecond))
	eventually(t, 10*time.Second, "HubSpot has all of them", func() bool { return stats(t, info).Messages == 20 })
	if s := stats(t, info); s.Contacts != 7 || s.DuplicateContacts+s.DuplicateMessages > 0 {
		t.Errorf("HubSpot shows %+v", s)
	}
	out, _, _ := runCommand(t, "deadletters", "list", "--config", info.Config, "--output", "json")
	if strings.TrimSpace(out) != "[]" {
		t.Errorf("dead letters %s", out)
	}
	if out := accounts(t, info, "resume", "hubspot"); out != "hubspot is not paused.\n" {
		t.Errorf("resumed again: %s", out)
	}
}

func TestAnAccountThatRefusesUsIsListedAsSuch(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	serve(t, info).working(info)
	post(t, info.HubSpot.URL+"/_sim/faults", map[string]any{"mode": "expire_token"})
	newLoad(info).post("wamid.REFUSED", "16665551111", "hello")
	eventually(t, 10*time.Second, "HubSpot is unauthorised, and it says why", func() bool {
		a := accountsOf(t, info)["hubspot"]
		return a.State == app.Unauthorized && strings.Contains(a.Problem, "unauthorized: ")
	})
	post(t, info.HubSpot.URL+"/_sim/faults", map[string]any{"mode": "none"})
	eventually(t, 15*time.Second, "it works again", func() bool { return accountsOf(t, info)["hubspot"].State == app.Working })
}

func TestAccountsThatCannotBeMeant(t *testing.T) {
	info := simulate(t)
	for name, says := range map[string]string{
		"salesforce": "the CRM accounts are hubspot, zoho, bitrix24",
		"whatsapp":   "nothing is delivered to whatsapp",
	} {
		if _, errs, code := runCommand(t, "accounts", "pause", name, "--config", info.Config); code != exitUsage || !strings.Contains(errs, says) {
			t.Errorf("%s: exit code %d, %s", name, code, errs)
		}
	}
	if _, errs, code := runCommand(t, "accounts", "resume", "hubspot", "--config", info.Config); code != exitFailed || !strings.Contains(errs, "there is no database yet") {
		t.Errorf("before the first start: exit code %d, %s", code, errs)
	}
	for name, a := range accountsOf(t, info) {
		if a.State != app.Stopped {
			t.Errorf("before the first start %s is %s", name, a.State)
		}
	}
}

// Two replicas share a database. A pause reaches both, and holds when the one
// that works for the account dies.
func TestAPauseReachesEveryReplica(t *testing.T) {
	database := "CRMSYNC_DATABASE_URL=" + storetest.Postgres(t)
	info := simulate(t)
	first := serve(t, info, database)
	first.working(info)
	address, err := sandbox.WorkerAddress(sandbox.Options{Host: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	other := info
	other.Worker = &sandbox.WorkerInfo{URL: "http://" + address, Webhooks: map[string]string{"whatsapp": "http://" + address + "/webhooks/whatsapp"}}
	second := start(t, []string{database, "CRMSYNC_LISTEN=" + address, "CRMSYNC_DATA_DIR=" + t.TempDir()}, "serve", "--config", info.Config)
	second.ready(other, 10*time.Second)
	t.Setenv("CRMSYNC_DATABASE_URL", strings.TrimPrefix(database, "CRMSYNC_DATABASE_URL="))
	eventually(t, 10*time.Second, "the second stands by", func() bool {
		return readinessOf(t, other).Accounts["hubspot"] == "another replica works for this account"
	})
	eventually(t, 10*time.Second, "HubSpot is said to work here", func() bool {
		a := accountsOf(t, info)["hubspot"]
		return a.State == app.Working && a.Where == "here"
	})
	accounts(t, info, "pause", "hubspot")
	paused := `crmsync_account_paused{account="hubspot"}`
	eventually(t, 10*time.Second, "both have noticed", func() bool { return metric(t, info, paused) == 1 && metric(t, other, paused) == 1 })
	calls := stats(t, info).Calls
	first.kill()
	l := newLoad(other)
	l.post("wamid.REPLICA", "16665550001", "hello")
	if !l.acked["wamid.REPLICA"] {
		t.Fatal("the second does not accept webhooks")
	}
	eventually(t, 20*time.Second, "Zoho has it from the second", func() bool { return len(messagesIn(t, info.CRMs()[1], "wamid.REPLICA")) == 1 })
	if now := stats(t, info).Calls; now != calls {
		t.Errorf("HubSpot has had %d calls while paused", now-calls)
	}
	eventually(t, 10*time.Second, "it is listed as paused elsewhere", func() bool {
		a := accountsOf(t, info)["hubspot"]
		return a.State == app.Paused && a.Where == "elsewhere" && a.Backlog == 2
	})
	accounts(t, info, "resume", "hubspot")
	eventually(t, 5*time.Second, "HubSpot has it too", func() bool { return len(messagesOf(t, info, "wamid.REPLICA")) == 1 })
}

// A comparison with an account that is paused says so and does not wait, beside
// the worker and without it; nor does a replay.
func TestWhatIsPausedIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	info := simulate(t)
	worker := serve(t, info)
	worker.working(info)
	newLoad(info).post("wamid.PAUSE", "16665550001", "hello")
	eventually(t, 20*time.Second, "HubSpot has it", func() bool { return stats(t, info).Messages == 1 })
	accounts(t, info, "pause", "hubspot")
	eventually(t, 10*time.Second, "the worker has noticed", func() bool { return metric(t, info, `crmsync_account_paused{account="hubspot"}`) == 1 })
	calls := stats(t, info).Calls
	compare := func(where string) {
		t.Helper()
		out, errs, code := runCommand(t, "audit", "--against-crm", "--account", "hubspot", "--config", info.Config)
		if code != 1 || !strings.Contains(out, "it is paused") || !strings.Contains(out, "accounts resume hubspot") {
			t.Errorf("%s: exit code %d\n%s%s", where, code, out, errs)
		}
	}
	compare("beside the worker")
	worker.stop()
	compare("without a worker")
	if after := stats(t, info).Calls; after != calls {
		t.Errorf("%d calls of HubSpot while it was paused", after-calls)
	}
}
