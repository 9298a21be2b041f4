package server

import (
	"bytes"
	"io"
)

// hosts says what the Host headers of a request are like.
type hosts uint8

const (
	oneHost      hosts = iota // or none, which is http.Server's to refuse
	sameHosts                 // several, with the same value
	unequalHosts              // several, of which one differs
)

// maxHost is the longest value of a Host header that is compared; a longer one counts
// as another.
const maxHost = 1 << 10

// hostScan scans the head of a connection's first request for Host headers. nginx may send
// Host twice: once for `include proxy_params`, and once for a line of the site's own.
// http.Server refuses such a request with a bare 400, as RFC 9112, section 3.2, demands,
// because two recipients might choose different values. With identical values there is no
// choice. So hostScan overwrites the name of each Host header but the first, in the bytes
// that http.Server reads, by "Also". If the values differ, guard refuses the request and
// says why.
//
// It scans only the first request of a connection: to find the next one it would have to
// know the length of the body. A connection with two Host headers is closed after the
// first response.
//
// hostScan keeps no byte behind the head, so the reader of a WebSocket finds all of them.
type hostScan struct {
	at       lineState
	first    []byte // value of the first Host header
	value    []byte // of the present one, so far
	count    int    // of Host headers
	unequal  bool
	wasHost  bool // the line before was a Host header
	held     [len(hostName)]byte
	heldSize int
}

type lineState uint8

const (
	inLine lineState = iota // the request line, or another header
	atLineStart
	inHost // in the value of a Host header
)

const hostName = "host:"

// read reads from the connection. done says that the head needs no more of it: it is
// complete, or will never be.
func (h *hostScan) read(from io.Reader, p []byte) (n int, done bool, err error) {
	n = copy(p, h.held[:h.heldSize])
	if n == len(p) { // which http.Server's buffer never is
		h.heldSize = copy(h.held[:], h.held[n:h.heldSize])
		return n, false, nil
	}
	h.heldSize = 0
	for {
		m, err := from.Read(p[n:])
		n += m
		rest, done := h.scan(p[:n])
		switch {
		case done || err != nil:
			return n, true, err
		case rest < n:
			h.heldSize = copy(h.held[:], p[n-rest:n])
			return n - rest, false, nil
		case n == len(p):
			return n, true, nil
		}
		// All of it may be the beginning of a name: nothing can be said yet.
	}
}

func (h *hostScan) found() hosts {
	switch {
	case h.unequal:
		return unequalHosts
	case h.count > 1:
		return sameHosts
	}
	return oneHost
}

// scan reads on, and writes over the names that are not to be seen. It stops at the
// end of the head (done), or before bytes at b's end that may be the beginning of
// a Host header or of the end: there are rest of them, to be scanned again with what follows.
func (h *hostScan) scan(b []byte) (rest int, done bool) {
	for i := 0; i < len(b); {
		line := b[i:]
		if h.at == atLineStart {
			switch kind := kindOf(line); {
			case kind == lineUnknown:
				return len(line), false
			case kind == lineEmpty:
				return 0, true
			case kind == lineHost:
				if h.count++; h.count > 1 {
					copy(line, "Also")
				}
				h.at, h.wasHost = inHost, true
				h.value = h.value[:0]
				i += len(hostName)
				continue
			default:
				// A value that goes on in the next line is none that can be compared.
				if h.wasHost && (line[0] == ' ' || line[0] == '\t') {
					h.unequal = true
				}
				h.at, h.wasHost = inLine, false
			}
		}
		end := bytes.IndexByte(line, '\n')
		part := line
		if end >= 0 {
			part = line[:end]
		}
		if h.at == inHost {
			h.value = append(h.value, part[:min(len(part), maxHost+1-min(len(h.value), maxHost+1))]...)
		}
		if end < 0 {
			return 0, false
		}
		if h.at == inHost {
			h.compare()
		}
		h.at = atLineStart
		i += end + 1
	}
	return 0, false
}

// compare takes the value of a Host header that is complete.
func (h *hostScan) compare() {
	value := bytes.Trim(h.value, " \t\r")
	if h.count == 1 {
		h.first = bytes.Clone(value)
	} else if !bytes.Equal(value, h.first) || len(h.value) > maxHost {
		h.unequal = true
	}
}

type lineKind uint8

const (
	lineOther   lineKind = iota
	lineUnknown          // too short to tell
	lineEmpty            // the end of the head
	lineHost
)

// kindOf tells what the line is of which b is the beginning.
func kindOf(b []byte) lineKind {
	switch {
	case b[0] == '\n' || len(b) > 1 && b[0] == '\r' && b[1] == '\n':
		return lineEmpty
	case len(b) == 1 && b[0] == '\r':
		return lineUnknown
	case len(b) >= len(hostName) && bytes.EqualFold(b[:len(hostName)], []byte(hostName)):
		return lineHost
	case len(b) < len(hostName) && bytes.EqualFold(b, []byte(hostName[:len(b)])):
		return lineUnknown
	}
	return lineOther
}
