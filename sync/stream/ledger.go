package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"crmsync/sync/audit"
)

// incarnationOf names a stream by when it was created.
func incarnationOf(info *jetstream.StreamInfo) string {
	return info.Config.Name + " of " + info.Created.UTC().Format(time.RFC3339Nano)
}

// Reach connects to external servers for a look at the streams that are there;
// it creates none.
func Reach(o Options) (*Broker, error) {
	b := &Broker{log: o.Log}
	if err := b.connect(o); err != nil {
		return nil, err
	}
	return b, nil
}

// Held says what the broker has stored and what still waits in it: nothing
// before the first worker has created the streams.
func (b *Broker) Held(ctx context.Context) (audit.Held, error) {
	events, err := b.js.Stream(ctx, "EVENTS")
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return audit.Held{}, nil
	}
	if err != nil {
		return audit.Held{}, fmt.Errorf("look at EVENTS: %w", err)
	}
	info, err := events.Info(ctx, jetstream.WithDeletedDetails(true), jetstream.WithSubjectFilter("events.>"))
	if err != nil {
		return audit.Held{}, fmt.Errorf("look at EVENTS: %w", err)
	}
	held := audit.Held{
		Stream: incarnationOf(info), First: info.State.FirstSeq, Last: info.State.LastSeq,
		Waiting: info.State.Msgs, Gone: rangesOf(info.State.Deleted),
	}
	for subject, n := range info.State.Subjects {
		parts := strings.Split(subject, ".")
		if len(parts) != 4 {
			continue
		}
		held.Facts = append(held.Facts, audit.HeldFacts{Account: parts[2], Kind: parts[3], N: n})
	}
	slices.SortFunc(held.Facts, func(x, y audit.HeldFacts) int {
		return cmp.Or(cmp.Compare(x.Account, y.Account), cmp.Compare(x.Kind, y.Kind))
	})
	held.Letters, err = b.lettersWaiting(ctx)
	return held, err
}

// lettersWaiting counts the letters that the worklist has not taken in yet.
func (b *Broker) lettersWaiting(ctx context.Context) (uint64, error) {
	letters, err := b.js.Stream(ctx, "DEADLETTERS")
	if err != nil {
		return 0, fmt.Errorf("look at DEADLETTERS: %w", err)
	}
	consumer, err := letters.Consumer(ctx, "worklist")
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return letters.CachedInfo().State.Msgs, nil // nobody has ever looked
	}
	if err != nil {
		return 0, fmt.Errorf("look at DEADLETTERS: %w", err)
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("look at DEADLETTERS: %w", err)
	}
	return info.NumPending + uint64(max(info.NumAckPending, 0)), nil
}

// rangesOf puts numbers in order and those that follow each other together.
func rangesOf(numbers []uint64) []audit.Range {
	slices.Sort(numbers)
	var ranges []audit.Range
	for _, n := range numbers {
		if i := len(ranges) - 1; i >= 0 && n <= ranges[i].Last+1 {
			ranges[i].Last = n
		} else {
			ranges = append(ranges, audit.Range{First: n, Last: n})
		}
	}
	return ranges
}
