package storetest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// FreePort is a free port for a server that is stopped and started again. It
// is not one of those that the system hands out by itself, so that nothing else
// gets it meanwhile.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 10000 + rand.IntN(20000)
		if l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("there is no free port")
	return 0
}
