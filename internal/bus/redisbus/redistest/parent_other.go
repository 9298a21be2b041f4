//go:build !linux

package redistest

import "syscall"

// dieWithParent does what this system has for it: nothing.
func dieWithParent() *syscall.SysProcAttr { return nil }
