package lambda

import "syscall"

// ownGroup puts a child in a process group of its own, so that a terminal's Ctrl-C reaches only the parent and one kill reaches all;
// and it has the child killed when the parent dies without a chance to.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
