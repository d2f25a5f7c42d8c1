//go:build unix && !linux

package child

import "syscall"

// OwnGroup puts a child in a process group of its own, so that a terminal's Ctrl-C reaches only the parent and one kill reaches all.
func OwnGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
