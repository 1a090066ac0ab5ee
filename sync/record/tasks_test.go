package record_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"crmsync/connectors"
	"crmsync/sync/directory"
)

const seeTo = `rules:
  - name: see to it
    do: [task: {title: "See to ${wa_id}", account: hubspot}]
  - name: find out
    when: {event: opt_out}
    do: [task: {title: "Call ${wa_id}", account: hubspot}]
`

// due are the tasks that are due in an account.
func (town *town) due(account string) (tasks []directory.Entity) {
	town.Helper()
	due, err := town.db.Due(ctx, account, 100)
	if err != nil {
		town.Fatal(err)
	}
	return slices.DeleteFunc(due, func(e directory.Entity) bool { return e.Kind != directory.TaskEntity })
}

func TestATaskIsOwedToTheAccountThatItNames(t *testing.T) {
	inTown(t, seeTo, func(town *town) {
		town.say("w1", "393331111111", 0)
		for _, account := range []string{"zoho", "bitrix24"} {
			if work, err := town.db.Load(ctx, account, directory.TaskEntity, []int64{1}); err != nil || len(work) != 0 {
				town.Errorf("%s is owed %+v, error %v", account, work, err)
			}
		}
		if due := town.due("hubspot"); len(due) != 0 {
			town.Errorf("due before the contact is there: %v", due)
		}
		contact := town.talker("w1")
		town.settled("hubspot", directory.Entity{Kind: directory.ContactEntity, ID: contact}, "h1", nil)
		due := town.due("hubspot")
		if len(due) != 1 {
			town.Fatalf("due: %v, want the task", due)
		}
		waiting, err := town.db.WaitingFor(ctx, "hubspot", []int64{contact})
		if err != nil || len(waiting) != 2 || !slices.Contains(waiting, due[0]) {
			town.Errorf("waiting for the contact: %v, error %v; want the message and the task", waiting, err)
		}
		work, err := town.db.Load(ctx, "hubspot", directory.TaskEntity, []int64{due[0].ID})
		if err != nil || len(work) != 1 || work[0].ContactRecordID != "h1" || work[0].Task == nil || work[0].Task.Title != "See to 393331111111" || work[0].Task.Account != "hubspot" {
			town.Errorf("loaded %+v, error %v", work, err)
		}
	})
}

func TestATaskForAnAccountThatIsFedNothingIsNotMade(t *testing.T) {
	inTown(t, seeTo, func(town *town) {
		town.r.DeliverTo = func(string) []string { return []string{"zoho"} }
		fired := apply(town.T, town.r, message("w1", 0, &connectors.Person{WAID: "393331111111"}, connectors.In, "hello")).Fired
		if len(fired) != 1 || len(fired[0].Problems) != 1 || !strings.Contains(fired[0].Problems[0], "nothing of whatsapp goes to account hubspot") {
			town.Errorf("fired: %+v", fired)
		}
		if tasks := town.tasks(); len(tasks) != 0 {
			town.Errorf("tasks %+v", tasks)
		}
	})
}

func TestTasksGoOverWithTheirContact(t *testing.T) {
	inTown(t, seeTo, func(town *town) {
		town.say("w1", "393331111111", 0)
		town.see("hubspot", "h1", 1, "+393331111111", "Anna Rossi")
		town.say("w2", "393332222222", 4)
		town.see("hubspot", "h2", 4, "+393332222222")
		lease, _, err := town.db.Acquire(ctx, "hubspot", "me", false, time.Minute)
		if err != nil {
			town.Fatal(err)
		}
		tasks := town.due("hubspot")
		if err := town.db.Doubt(ctx, "hubspot", lease, tasks); err != nil || len(tasks) != 2 {
			town.Fatalf("tasks %v, error %v", tasks, err)
		}
		moved := fact("moved", connectors.KindIdentity, 3, &connectors.Person{WAID: "393331111111"})
		moved.Identity = &connectors.Identity{New: connectors.Person{WAID: "393332222222"}}
		apply(town.T, town.r, moved)
		if town.talker("w1") == town.talker("w2") {
			town.Error("they are joined while nobody knows where the tasks of both are")
		}
		done := directory.Link{Account: "hubspot", Entity: tasks[1], RecordID: "t", State: directory.Agreed, Agreed: 1}
		if _, err := town.db.Settle(ctx, "hubspot", lease, []directory.Outcome{{Link: done, Loaded: 1}}); err != nil {
			town.Fatal(err)
		}
		town.news("zoho", "z9") // any news will do
		is := town.talker("w2")
		if town.talker("w1") != is {
			town.Fatal("they are not joined")
		}
		for _, task := range town.tasks() {
			if task.ContactID != is {
				town.Errorf("task %d is of contact %d, want %d", task.ID, task.ContactID, is)
			}
		}
		if due := town.due("hubspot"); len(due) != 1 || due[0] != tasks[0] {
			town.Errorf("due: %v, want %v", due, tasks[0])
		}
	})
}

// An opt-out, by itself, does not bring back who was deleted in an account; that
// somebody is to see to it does.
func TestATaskBringsBackWhoWasDeleted(t *testing.T) {
	inTown(t, seeTo, func(town *town) {
		town.say("w1", "393331111111", 0)
		contact := town.talker("w1")
		e := directory.Entity{Kind: directory.ContactEntity, ID: contact}
		town.settled("hubspot", e, "h1", nil)
		town.settled("hubspot", directory.Entity{Kind: directory.MessageEntity, ID: 1}, "m1", nil)
		town.settled("hubspot", directory.Entity{Kind: directory.TaskEntity, ID: 1}, "t1", nil)
		town.gone("hubspot", "h1")
		if l := town.links(contact)["hubspot"]; l.State != directory.Skipped || l.RecordID != "" {
			town.Fatalf("hubspot: %+v, want it deleted", l)
		}
		stop := fact("stop", connectors.KindPreference, 5, &connectors.Person{WAID: "393331111111"})
		stop.Preference = &connectors.Preference{Value: "stop"}
		if result := apply(town.T, town.r, stop); len(result.Fired) != 1 || len(town.tasks()) != 2 {
			town.Fatalf("fired: %+v, tasks %+v", result.Fired, town.tasks())
		}
		if l := town.links(contact)["hubspot"]; l.State != directory.Pending {
			town.Errorf("hubspot: %+v, and is owed a task", l)
		}
	})
}
