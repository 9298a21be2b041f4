//go:build linux

package floor

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Keys of the two times in an update; see docs/PROTOCOL.md.
const (
	keyNow    = `"now":`
	keySample = `"x":[`
)

// digits is how long a time in Unix ms is, until the year 2286.
const digits = 13

// template is what one connection is sent at a tick: one frame of the product's
// for each room, with places for the times.
type template struct {
	frames       []byte
	now, samples []int // where the digits stand
}

// newTemplate finds the times in frames that the product has sent. Those of a
// second sample in one update stay as they were recorded.
func newTemplate(frames []byte) (*template, error) {
	t := &template{frames: slices.Clone(frames), now: places(frames, keyNow), samples: places(frames, keySample)}
	if len(t.now) == 0 || len(t.samples) == 0 {
		return nil, fmt.Errorf("floor: the recorded frames have no %s or no %s followed by a time", keyNow, keySample)
	}
	return t, nil
}

// at returns the frames of a tick. They are valid until the next call.
func (t *template) at(tick, now time.Time) []byte {
	put := func(where []int, at time.Time) {
		var text [digits]byte
		strconv.AppendInt(text[:0], at.UnixMilli(), 10)
		for _, i := range where {
			copy(t.frames[i:i+digits], text[:])
		}
	}
	put(t.now, now)
	put(t.samples, tick)
	return t.frames
}

// places returns where in b a time follows key.
func places(b []byte, key string) (out []int) {
	for from := 0; ; {
		i := bytes.Index(b[from:], []byte(key))
		if i < 0 {
			return out
		}
		from += i + len(key)
		end := from
		for end < len(b) && b[end] >= '0' && b[end] <= '9' {
			end++
		}
		if end-from == digits {
			out = append(out, from)
		}
	}
}
