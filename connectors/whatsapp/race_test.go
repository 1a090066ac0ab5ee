//go:build race

package whatsapp_test

// slowdown is what the race detector costs.
const slowdown = 10
