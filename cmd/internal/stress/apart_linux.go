package stress

import "syscall"

// apart keeps a terminal's Ctrl-C from a child, which is stopped in its turn,
// and ends the child when this process is killed.
func apart() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
