// Package load holds tens of thousands of Socket.IO viewers in one process, with
// little processor time of its own. Linux only.
//
// A page's client spends more on a message than the server that is to be
// measured. So a viewer here is a descriptor and a few words of memory; one
// goroutine waits for all of them (epoll), reads, finds where frames begin,
// answers heartbeats, counts updates and looks at two numbers in them: when the
// server began to send (`now`), and when the sample was taken (`x`). Both clocks
// are this machine's. Nothing is decoded and nothing allocated in the steady
// state.
//
// What a viewer does is Socket.IO 5 over an Engine.IO 4 WebSocket and namespace
// /live of docs/PROTOCOL.md. A plan that says Bare leaves all that out: it is for
// the floor, which sends the same frames without being asked.
//
// A port of one address serves 28,000 connections, and a server admits 2,000 of
// one address, so viewers come from several addresses of the loopback network.
package load
