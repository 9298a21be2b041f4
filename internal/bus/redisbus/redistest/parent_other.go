//go:build !linux

package redistest

import "syscall"

// dieWithParent returns nil: this system cannot end a server with its parent.
func dieWithParent() *syscall.SysProcAttr { return nil }
