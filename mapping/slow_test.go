//go:build !race

package mapping_test

import "time"

const slowest = time.Second
