package stress

import (
	"fmt"
	"time"
)

// judge says what is wrong.
func (res *Result) judge(o Options) {
	fail := func(format string, arguments ...any) {
		res.Failures = append(res.Failures, fmt.Sprintf(format, arguments...))
	}
	if res.Interrupted {
		fail("it was interrupted")
	}
	if res.Sent == 0 {
		fail("nothing was sent")
	}
	if res.Acknowledged == 0 && res.Sent > 0 {
		fail("no webhook was answered 200")
	}
	ramp := o.Ramp != nil // which ends where it is too much
	if ramp && res.Peak == 0 && !res.Interrupted {
		fail("not even %s held", PerMinute(o.Ramp.From))
	}
	if e := share(res.Webhooks.Errors, res.Webhooks.Sent); !ramp && e > o.MaxErrors {
		fail("%.2g %% of the webhooks were not answered 200, at most %.2g %% may be", e*100, o.MaxErrors*100)
	}
	for _, a := range res.Accounts {
		if a.Lost > 0 {
			fail("%s lacks %s that %s acknowledged, %v after the last was sent", a.Name, counted(a.Lost, "message"), were(a.Lost), o.Grace)
		}
		if a.Doubled > 0 {
			fail("%s has %s too many", a.Name, counted(a.Doubled, "message"))
		}
		if a.Astray > 0 {
			fail("%s shows %s under somebody else's number", a.Name, counted(a.Astray, "message"))
		}
		if a.Altered > 0 {
			fail("%s shows %s with another text than was sent", a.Name, counted(a.Altered, "message"))
		}
		if a.PeopleDoubled > 0 {
			fail("%s has %s too many", a.Name, counted(a.PeopleDoubled, "contact"))
		}
		if a.Behind > 0 {
			fail("%s does not show the last status of %s", a.Name, counted(a.Behind, "message"))
		}
		if p99 := time.Duration(a.P99 * 1e6); !ramp && p99 > o.MaxDelay {
			fail("1 in 100 messages took %s or more to %s, at most %v may be", Short(p99), a.Name, o.MaxDelay)
		}
	}
	res.Passed = len(res.Failures) == 0
}

func were(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return Whole(n) + " " + what + "s"
}
