//go:build linux

package load

import (
	"encoding/binary"
	"errors"
)

// maxFrame is the longest frame that is taken, in bytes. A part of a bootstrap
// has 128 KiB at most.
const maxFrame = 16 << 20

// Opcodes of RFC 6455, section 5.2.
const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xa
)

var (
	errFrameBits   = errors.New("frame from the server is masked, fragmented or has reserved bits")
	errFrameLength = errors.New("frame from the server is longer than 16 MiB")
)

// nextFrame splits the first frame off b: its opcode, its payload and what comes
// after it. ok is false if b ends within the frame. The server's frames are
// whole messages and unmasked (RFC 6455, section 5.1).
func nextFrame(b []byte) (op byte, payload, rest []byte, ok bool, err error) {
	if len(b) < 2 {
		return 0, nil, b, false, nil
	}
	if b[0]&0xf0 != 0x80 || b[1]&0x80 != 0 {
		return 0, nil, b, false, errFrameBits
	}
	head, size := 2, uint64(b[1])
	switch size {
	case 126:
		head = 4
		if len(b) < head {
			return 0, nil, b, false, nil
		}
		size = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		head = 10
		if len(b) < head {
			return 0, nil, b, false, nil
		}
		size = binary.BigEndian.Uint64(b[2:])
	}
	if size > maxFrame {
		return 0, nil, b, false, errFrameLength
	}
	end := head + int(size)
	if len(b) < end {
		return 0, nil, b, false, nil
	}
	return b[0] & 0xf, b[head:end], b[end:], true, nil
}

// appendFrame appends a client's frame. Its mask is four zeros, which is a mask
// like any other and leaves the payload as it is.
func appendFrame(b []byte, op byte, payload string) []byte {
	b = append(b, 0x80|op)
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, 0, 0, 0, 0)
	return append(b, payload...)
}
