// Package wire holds the messages between server and page, as docs/PROTOCOL.md
// has them, and their encoding. The messages that carry samples are appended to
// a buffer by hand, because a server encodes thousands of them a second; the
// others go through encoding/json.
package wire
