//go:build !linux

package stress

import "syscall"

// apart keeps a terminal's Ctrl-C from a child, which is stopped in its turn.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
