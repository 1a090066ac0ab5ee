package deliver

import "time"

// suspects tells a record at which the vendor stumbles from a vendor who
// stumbles over everything. A record is held responsible when it keeps failing
// alone in its call, while nearly all others pass at once.
type suspects struct {
	now func() time.Time
	// memory is how long others count as evidence.
	memory  time.Duration
	records map[int64]*suspect
	passes  int
	swept   time.Time
}

// A suspect is what a record has shown lately.
type suspect struct {
	at time.Time
	// stumbled says that it has failed alone, also if it has passed since.
	stumbled bool
	// times counts its failures in a row, passes is how many records had
	// passed at the last.
	times, passes int
	// alone says that it is to be tried alone: the few records that it failed
	// with last cannot all be bad.
	alone bool
}

const (
	// patience is how often a record may fail alone before that counts as
	// its own fault.
	patience = 5
	// fewestOthers is how many others there must be to compare with, at
	// least, and tolerance how many of them must pass for each that stumbles.
	fewestOthers = 3
	tolerance    = 4
)

func newSuspects(memory time.Duration) *suspects {
	return &suspects{now: time.Now, memory: memory, records: map[int64]*suspect{}}
}

func (s *suspects) of(id int64) *suspect {
	now := s.now()
	if now.Sub(s.swept) > s.memory {
		s.swept = now
		for other, r := range s.records {
			if now.Sub(r.at) > s.memory {
				delete(s.records, other)
			}
		}
	}
	if s.records[id] == nil {
		s.records[id] = &suspect{}
	}
	s.records[id].at = now
	return s.records[id]
}

// apart divides a batch, so that suspects do not bring down the others: those
// that are none together, then each suspect alone.
func (s *suspects) apart(ids []int64) [][]int64 {
	var parts [][]int64
	var good []int64
	for _, id := range ids {
		if r := s.records[id]; r != nil && (r.times > 0 || r.alone) {
			parts = append(parts, []int64{id})
		} else {
			good = append(good, id)
		}
	}
	if len(good) > 0 {
		parts = append([][]int64{good}, parts...)
	}
	return parts
}

// passed notes that a record was written.
func (s *suspects) passed(id int64) {
	r := s.of(id)
	r.times, r.alone = 0, false
	s.passes++
}

// failedTogether notes that a record was in a call that failed with so many.
func (s *suspects) failedTogether(id int64, records int) {
	const few = 4
	if records <= few {
		s.of(id).alone = true
	}
}

// failedAlone notes that the only record of a call failed with it, and reports
// whether the record is to be held responsible.
func (s *suspects) failedAlone(id int64) bool {
	self := s.of(id)
	self.stumbled = true
	good, bad := 0, 0
	for other, r := range s.records {
		switch {
		case other == id, self.at.Sub(r.at) > s.memory:
		case r.stumbled:
			bad++
		default:
			good++
		}
	}
	if good < max(fewestOthers, tolerance*bad) {
		self.times = 0
		return false
	}
	if s.passes > self.passes {
		self.times++
	}
	self.passes = s.passes
	return self.times > patience
}
