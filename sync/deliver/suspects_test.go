package deliver

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Calls with one record each, of which a share fails by chance: whatever the
// share, no record is to blame.
func TestAPartialOutageIsNobodysFault(t *testing.T) {
	t.Parallel()
	for _, share := range []float64{0.3, 0.5, 0.8, 0.95} {
		chance := rand.New(rand.NewPCG(1, 2))
		now := time.Now()
		s := newSuspects(time.Minute)
		s.now = func() time.Time { return now }
		blamed := 0
		pending := map[int64]bool{}
		for tick := range int64(20_000) {
			now = now.Add(20 * time.Millisecond)
			if tick%5 == 0 {
				pending[tick] = true
			}
			for id := range pending { // any of them
				if chance.Float64() >= share {
					s.passed(id)
					delete(pending, id)
				} else if s.failedAlone(id) {
					blamed++
				}
				break
			}
		}
		// Three such verdicts in a row make a dead letter.
		if blamed > 4 {
			t.Errorf("share %v: %d blamed", share, blamed)
		}
	}
}

func TestTwoBadRecordsAmongGoodOnesAreFound(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := newSuspects(time.Minute)
	s.now = func() time.Time { return now }
	blamed := map[int64]bool{}
	for id := range int64(100) {
		now = now.Add(250 * time.Millisecond)
		s.passed(1000 + id)
		for _, bad := range []int64{1, 2} {
			if s.failedAlone(bad) {
				blamed[bad] = true
			}
		}
	}
	if !blamed[1] || !blamed[2] || len(blamed) != 2 {
		t.Errorf("blamed %v, want both", blamed)
	}
}
