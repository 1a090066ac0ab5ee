package deliver

import (
	"errors"
	"sync"
	"time"
)

const (
	// An account that loses more of its known contacts than a share, and more
	// than a few, may only seem to: a person is asked first.
	massShare = 20 // one in so many
	massFew   = 10
	// massWithin is in what time losses count together.
	massWithin = time.Hour
)

// ErrTooMuch says that an account has lost more than usually happens, and what
// to do.
var ErrTooMuch = errors.New("more contacts are gone, or have lost values, than usually happens: nothing of that is taken over; see whether the account is right, then run crmsync sync now --allow-mass-change")

// A Brake stops the taking over of losses of one account: of contacts that are
// gone, and of values that are. What is seen because of news, one record after
// the other, counts like what a sweep sees: a vendor that has dropped a field
// looks the same either way. It counts from the start of the program.
type Brake struct {
	mu   sync.Mutex
	lost []lost
	told time.Time
}

type lost struct {
	at time.Time
	n  int
}

// Lets reports whether so many more losses may be taken over, of an account with
// so many known contacts. If so they count from now on.
func (b *Brake) Lets(losses int, known int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if losses == 0 {
		return true
	}
	now := time.Now()
	for len(b.lost) > 0 && now.Sub(b.lost[0].at) > massWithin {
		b.lost = b.lost[1:]
	}
	n := losses
	for _, l := range b.lost {
		n += l.n
	}
	if tooMuch(n, known) {
		return false
	}
	b.lost = append(b.lost, lost{now, losses})
	return true
}

// News reports whether nobody was told for a while that it does not let losses
// pass.
func (b *Brake) News() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.told.IsZero() && time.Since(b.told) < massWithin {
		return false
	}
	b.told = time.Now()
	return true
}

func tooMuch(losses int, known int64) bool {
	return losses > massFew && int64(losses)*massShare > known
}
