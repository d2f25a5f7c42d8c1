package child

import "syscall"

// OwnGroup puts a child in a process group of its own, so that a terminal's Ctrl-C reaches only the parent and one kill reaches all;
// and it has the child killed when the parent dies without a chance to. That goes by the thread that starts the child: its goroutine
// keeps it, with runtime.LockOSThread, until the child has ended.
func OwnGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
