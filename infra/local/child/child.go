//go:build unix

package lambda

import "syscall"

// killGroup kills a process and all it started that stayed in its group. A group that has gone is no error.
func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }
