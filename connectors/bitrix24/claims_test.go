package bitrix24

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestTwoCallsDoNotHoldTheSameName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c claims
		first, err := c.take(t.Context(), []string{"key 1", "phone 1", "phone 1"})
		if err != nil {
			t.Fatal(err)
		}
		other, err := c.take(t.Context(), []string{"key 2"})
		if err != nil {
			t.Fatal("somebody else has to wait")
		}
		if other.add("phone 1") {
			t.Error("a second call got a number that is held")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.take(ctx, []string{"key 3", "phone 1"}); err == nil {
			t.Error("a second call got names of which one is held")
		}
		time.AfterFunc(time.Second, first.end)
		began := time.Now()
		if _, err := c.take(t.Context(), []string{"phone 1"}); err != nil || time.Since(began) != time.Second {
			t.Errorf("got it after %v (%v), want when the first has ended", time.Since(began), err)
		}
		if !other.add("key 1") {
			t.Error("what was let go is still held")
		}
	})
}
