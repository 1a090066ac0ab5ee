package stress

import (
	"testing"
	"time"
)

func TestNumbersAsPeopleReadThem(t *testing.T) {
	for got, want := range map[string]string{
		Whole(0): "0", Whole(999): "999", Whole(1000): "1,000", Whole(1234567): "1,234,567", PerMinute(4999.9): "5,000 messages a minute",
		Lasting(3 * time.Minute): "3m", Lasting(time.Hour): "1h", Lasting(90 * time.Second): "1m30s", Lasting(20 * time.Second): "20s", Lasting(100 * time.Minute): "1h40m",
		Short(1234 * time.Microsecond): "1.2 ms", Short(123456 * time.Microsecond): "123 ms", Short(2345 * time.Millisecond): "2.3 s",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
