//go:build !race

package whatsapp_test

const slowdown = 1
