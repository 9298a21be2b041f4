package bus

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Position is a place in the log: that of a batch. It is comparable with ==. The zero
// Position is before every batch.
type Position struct {
	// Epoch names one unbroken life of the log: letters and digits, at most 32.
	// Positions of different epochs have no order.
	Epoch string
	Offset
}

// Offset orders the entries of one epoch, and has the form of a Redis stream
// ID: the log's own clock when the entry was made, and a counter within that
// millisecond. Implementations never let Ms go back.
type Offset struct {
	Ms  int64 // log time, Unix milliseconds
	Seq uint64
}

var errBadPosition = errors.New(`not a position: want "epoch-ms-seq"`)

// Compare orders o and p: negative when o comes first.
func (o Offset) Compare(p Offset) int {
	return cmp.Or(cmp.Compare(o.Ms, p.Ms), cmp.Compare(o.Seq, p.Seq))
}

// LogTime is the time of the entry by the log's own clock, in Unix
// milliseconds. Acceptance is judged by it, so that every server and every
// replay judges alike.
func (p Position) LogTime() int64 { return p.Ms }

// IsZero reports whether p is the zero Position.
func (p Position) IsZero() bool { return p == Position{} }

// String returns "epoch-ms-seq", the form on the wire; it is opaque to pages.
func (p Position) String() string {
	if p.IsZero() {
		return ""
	}
	return p.Epoch + "-" + strconv.FormatInt(p.Ms, 10) + "-" + strconv.FormatUint(p.Seq, 10)
}

// ParsePosition parses the form of String.
func ParsePosition(s string) (Position, error) {
	if s == "" {
		return Position{}, nil
	}
	epoch, rest, ok := strings.Cut(s, "-")
	ms, seq, ok2 := strings.Cut(rest, "-")
	if !ok || !ok2 || !validEpoch(epoch) {
		return Position{}, errBadPosition
	}
	p := Position{Epoch: epoch}
	var err error
	if p.Ms, err = strconv.ParseInt(ms, 10, 64); err != nil || p.Ms < 0 {
		return Position{}, errBadPosition
	}
	if p.Seq, err = strconv.ParseUint(seq, 10, 64); err != nil {
		return Position{}, fmt.Errorf("%w (%q)", errBadPosition, seq)
	}
	return p, nil
}

func validEpoch(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for _, c := range []byte(s) {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			return false
		}
	}
	return true
}
