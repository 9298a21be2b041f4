// Package floor is what sending to many costs at the least: a server that takes
// the same WebSocket connections as the product, writes the same bytes to each at
// the same times, and does nothing else. Linux only.
//
// It is as lean as a Go program can honestly be: a connection is a descriptor, a
// goroutine that waits in Read with 64 bytes, and a pointer in a list; a tick
// patches two times into a ready-made frame and makes one write(2) for each
// connection, from as many goroutines as there are processors. It pings each
// connection every 25 s, as the product does. It understands nothing that a
// client says, and a connection that does not read is written to no more.
package floor
