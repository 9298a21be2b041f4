//go:build linux

package main

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"stripchart/bench/measure"
)

// watch is what the viewers have seen: each update's values are looked at, since
// the newest of a batch is the moment at which it was published.
type watch struct {
	samples []int64 // received so far, by viewer
	delays  *measure.Delays
}

func newWatch(viewers int) *watch {
	return &watch{samples: make([]int64, viewers), delays: measure.NewDelays()}
}

// String says how many samples the viewers have.
func (w *watch) String() string {
	return fmt.Sprintf("%d to %d samples", slices.Min(w.samples), slices.Max(w.samples))
}

var (
	updatePrefix = []byte(`42/live,["update",`)
	valuesKey    = []byte(`"y":[`)
)

// stampFrom is what tells a moment in microseconds from any other value.
const stampFrom = 1e15

// record implements load.Plan.Record.
func (w *watch) record(viewer int, text []byte) {
	if !bytes.HasPrefix(text, updatePrefix) {
		return
	}
	now := time.Now().UnixMicro()
	for {
		// No label of ours has the key in it.
		i := bytes.Index(text, valuesKey)
		if i < 0 {
			return
		}
		text = w.rows(viewer, text[i+len(valuesKey):], now)
	}
}

// rows reads "[1.5,2],[3]" up to the bracket that ends the list of them, and
// returns what is behind it. Our values are neither negative nor null.
func (w *watch) rows(viewer int, text []byte, now int64) []byte {
	depth := 0
	var whole int64
	digits, fraction := false, false
	for i, c := range text {
		switch {
		case c >= '0' && c <= '9':
			digits = true
			if !fraction {
				whole = whole*10 + int64(c-'0')
			}
			continue
		case c == '.':
			fraction = true
			continue
		case c == '[':
			depth++
		case c == ']':
			depth--
		}
		if digits {
			w.samples[viewer]++
			if whole >= stampFrom {
				w.delays.Add(time.Duration(now-whole) * time.Microsecond)
			}
			whole, digits, fraction = 0, false, false
		}
		if depth < 0 {
			return text[i+1:]
		}
	}
	return nil
}
