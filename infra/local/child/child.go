//go:build unix

// Package child has what a program needs so that those it starts end with it, however it ends.
package child

import "syscall"

// Kill kills a process that was started in an OwnGroup, and all it started that stayed there. A group that has gone is no error.
func Kill(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }
