//go:build race

package mapping_test

import "time"

// The race detector makes it several times slower.
const slowest = 10 * time.Second
