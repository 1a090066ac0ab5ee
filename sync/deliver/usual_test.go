//go:build !race

package deliver_test

const usualEdits = 1000
