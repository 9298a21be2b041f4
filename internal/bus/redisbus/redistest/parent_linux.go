package redistest

import "syscall"

// dieWithParent ends the server with a test binary that is killed.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
