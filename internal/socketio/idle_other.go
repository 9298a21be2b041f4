//go:build !linux

package socketio

// idle has no connections here: a goroutine waits for each.
type idle struct{ server *Server }

type idleNumber = struct{}

func (d *idle) enter(*Conn) bool { return false }
func (d *idle) leave(*Conn)      {}
func (d *idle) retire(*Conn)     {}
