//go:build race

package deliver_test

// Fake time with thousands of timers takes the race detector minutes.
const usualEdits = 300
