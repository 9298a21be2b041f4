//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"net/netip"

	"stripchart/bench/load"
)

// oracle keeps what some viewers were sent, and judges afterwards whether each
// holds every sample that the store has, once.
//
// Nearly all that is sent is the same for many, so a message is kept once, found
// by its hash, and a viewer is a list of numbers.
type oracle struct {
	viewers int // those with a smaller number are watched
	seed    maphash.Seed
	numbers map[uint64]int32
	texts   [][]byte
	sent    [][]int32 // by viewer, in order
}

func newOracle(viewers int) *oracle {
	return &oracle{viewers: viewers, seed: maphash.MakeSeed(), numbers: map[uint64]int32{}, sent: make([][]int32, viewers)}
}

// record is a Plan's.
func (o *oracle) record(viewer int, text []byte) {
	if viewer >= o.viewers {
		return
	}
	hash := maphash.Bytes(o.seed, text)
	number, ok := o.numbers[hash]
	if !ok {
		number = int32(len(o.texts))
		o.numbers[hash] = number
		o.texts = append(o.texts, bytes.Clone(text))
	}
	o.sent[viewer] = append(o.sent[viewer], number)
}

// verdict counts samples over all viewers.
type verdict struct {
	samples  int // that viewers had to hold
	missing  int
	wrong    int // of another value, or not in the store
	doubled  int // sent again without a bootstrap that replaces; a page's upsert absorbs them
	replaced int // bootstraps that replaced what a viewer had, after its first in the room
	resumed  int // bootstraps that continued
}

func (v verdict) String() string {
	return fmt.Sprintf("%d samples, %d missing, %d wrong, %d sent twice; %d rooms continued, %d began anew",
		v.samples, v.missing, v.wrong, v.doubled, v.resumed, v.replaced)
}

// truth is what the store holds: by query, by series, by time.
type truth []map[string]map[int64]float64

// ask reads the history of queries, both ends included, Unix ms.
func ask(server netip.AddrPort, queries []string, from, to int64) (truth, error) {
	const points = 20_000 // more than are measured, so the samples come raw
	t := make(truth, len(queries))
	for i, q := range queries {
		b, err := load.Ask(server, "history", map[string]any{"query": q, "from": from, "to": to, "points": points})
		if err != nil {
			return nil, err
		}
		var m message
		if err := json.Unmarshal(b, &m); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		r := newRoom()
		if err := r.merge(&m, nil); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
		t[i] = r.samples
	}
	return t, nil
}

// judge compares every watched viewer with the truth of [from, to], Unix ms.
func (o *oracle) judge(t truth, from, to int64) (v verdict, err error) {
	messages := make([]message, len(o.texts))
	for i, text := range o.texts {
		if messages[i], err = decode(text); err != nil {
			return v, err
		}
	}
	for viewer, sent := range o.sent {
		rooms := map[string]*room{}
		queries := make([]*room, len(t))
		for _, number := range sent {
			m := &messages[number]
			r := rooms[m.Room]
			if r == nil {
				r = newRoom()
				rooms[m.Room] = r
			}
			if m.request >= 0 {
				queries[m.request] = r
				continue
			}
			if err := r.merge(m, &v); err != nil {
				return v, fmt.Errorf("viewer %d: %w", viewer, err)
			}
		}
		for i, r := range queries {
			if r == nil {
				return v, fmt.Errorf("viewer %d was not let into room %d", viewer, i)
			}
			r.compare(t[i], from, to, &v)
		}
	}
	return v, nil
}

// message is an update, a bootstrap, an answer to history, or, if request is not
// negative, an answer to subscribe. See docs/PROTOCOL.md.
type message struct {
	request   int
	bootstrap bool

	Room   string
	From   json.RawMessage
	Series []struct {
		ID     int
		Labels map[string]string
	}
	Blocks []struct {
		IDs  []int
		X    []int64
		Step int64
		Y    [][]float64
	}
}

// decode reads a message's text.
func decode(text []byte) (m message, err error) {
	m.request = -1
	if answer, ok := bytes.CutPrefix(text, []byte("43/live,")); ok {
		number, object, _ := bytes.Cut(answer, []byte("["))
		if err := json.Unmarshal(number, &m.request); err != nil {
			return m, fmt.Errorf("answer %q: %w", text, err)
		}
		return m, json.Unmarshal(bytes.TrimSuffix(object, []byte("]")), &m)
	}
	name, object, ok := bytes.Cut(bytes.TrimPrefix(text, []byte(`42/live,[`)), []byte(`,`))
	if !ok {
		return m, fmt.Errorf("message %q is not an event with an argument", text)
	}
	m.bootstrap = string(name) == `"bootstrap"`
	if err := json.Unmarshal(bytes.TrimSuffix(object, []byte("]")), &m); err != nil {
		return m, fmt.Errorf("message %q: %w", text, err)
	}
	return m, nil
}

// room is what a page holds of one.
type room struct {
	names   map[int]string // of series, by id
	samples map[string]map[int64]float64
	begun   bool
}

func newRoom() *room {
	return &room{names: map[int]string{}, samples: map[string]map[int64]float64{}}
}

// merge takes m as a page does: upsert by series and time. v may be nil.
func (r *room) merge(m *message, v *verdict) error {
	if m.bootstrap && v != nil {
		switch {
		case string(m.From) != "null":
			v.resumed++
		case len(m.Series) > 0 || len(m.Blocks) == 0: // the first part
			if r.begun {
				v.replaced++
			}
			clear(r.samples)
			r.begun = true
		}
	}
	for _, s := range m.Series {
		name, err := json.Marshal(s.Labels) // sorted by name
		if err != nil {
			return err
		}
		r.names[s.ID] = string(name)
	}
	for _, b := range m.Blocks {
		if b.Step != 0 {
			return fmt.Errorf("a block is downsampled; the oracle needs windows whose samples come raw")
		}
		for i, id := range b.IDs {
			name, ok := r.names[id]
			if !ok {
				return fmt.Errorf("series %d was not described", id)
			}
			series := r.samples[name]
			if series == nil {
				series = map[int64]float64{}
				r.samples[name] = series
			}
			for k, t := range b.X {
				if _, there := series[t]; there && v != nil {
					v.doubled++
				}
				series[t] = b.Y[i][k]
			}
		}
	}
	return nil
}

// compare counts what differs from the truth of [from, to].
func (r *room) compare(want map[string]map[int64]float64, from, to int64, v *verdict) {
	for name, samples := range want {
		for t, value := range samples {
			if t < from || t > to {
				continue
			}
			v.samples++
			switch got, ok := r.samples[name][t]; {
			case !ok:
				v.missing++
			case got != value:
				v.wrong++
			}
		}
	}
	for name, samples := range r.samples {
		for t := range samples {
			if _, ok := want[name][t]; !ok && t >= from && t <= to {
				v.wrong++
			}
		}
	}
}
