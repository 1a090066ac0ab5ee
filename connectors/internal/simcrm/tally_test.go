package simcrm_test

import (
	"testing"

	"crmsync/connectors/internal/simcrm"
)

func TestTasksAreCountedByWhatTheyAreKnownBy(t *testing.T) {
	t.Parallel()
	var tally simcrm.Tally[int]
	want := func(what string, tasks, doubles int) {
		t.Helper()
		if tally.Len() != tasks || tally.Doubles() != doubles {
			t.Errorf("%s: got %d tasks and %d doubles, want %d and %d", what, tally.Len(), tally.Doubles(), tasks, doubles)
		}
	}
	tally.Drop(1)
	want("an unknown one is dropped", 0, 0)
	tally.Put(1, simcrm.TaskKey("k", "call back", "7"))
	tally.Put(2, simcrm.TaskKey("l", "call back", "7"))
	want("two keys, one title", 2, 0)
	tally.Put(3, simcrm.TaskKey("k", "else", "8"))
	want("one key, two titles", 3, 1)
	tally.Put(3, simcrm.TaskKey("", "call back", "7"))
	want("its key is taken away", 3, 0)
	tally.Put(4, simcrm.TaskKey("", "call back", "7"))
	tally.Put(5, simcrm.TaskKey("", "call back", "7"))
	tally.Put(6, simcrm.TaskKey("", "call back", "8"))
	want("one title and contact three times", 6, 2)
	tally.Drop(3)
	tally.Drop(3)
	want("the first of them is deleted", 5, 1)
}
