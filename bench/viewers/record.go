//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"stripchart/bench/load"
	"stripchart/bench/measure"
)

// record returns what the product sends a viewer of queries at one tick, as
// finished frames, for the floor to send.
func (b *bench) record(queries []string) ([]byte, error) {
	const interval = 200 * time.Millisecond
	server, err := b.startProduct(b.newDir(), "127.0.0.1:0", interval)
	if err != nil {
		return nil, err
	}
	defer server.Kill()
	var tick tickRecorder
	fleet, err := load.New(load.Plan{
		Server: server.Address, Viewers: 1, Queries: queries,
		Record: func(_ int, text []byte) { tick.add(text) },
	})
	if err != nil {
		return nil, err
	}
	defer fleet.Close()
	if err := fleet.Connect(connectTimeout); err != nil {
		return nil, err
	}
	// The first updates tell more than samples: that a series is new, and how
	// often it is measured.
	if err := fleet.Run(10 * interval); err != nil {
		return nil, err
	}
	tick.texts = nil
	if err := fleet.Await(func() bool { return len(tick.texts) == len(queries) }, 10*time.Second); err != nil {
		return nil, err
	}
	var frames []byte
	for _, text := range tick.texts {
		frames = appendServerFrame(frames, text)
	}
	return frames, nil
}

// tickRecorder gathers the updates of the last position.
type tickRecorder struct {
	position string
	texts    [][]byte
}

func (r *tickRecorder) add(text []byte) {
	_, rest, ok := bytes.Cut(text, []byte(`"position":"`))
	if !ok {
		return // a part of a bootstrap
	}
	position, _, _ := bytes.Cut(rest, []byte(`"`))
	if string(position) != r.position {
		r.position, r.texts = string(position), nil
	}
	r.texts = append(r.texts, bytes.Clone(text))
}

// appendServerFrame appends text as an unmasked text frame. RFC 6455, section 5.2.
func appendServerFrame(b, text []byte) []byte {
	b = append(b, 0x81)
	switch n := len(text); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, text...)
}

// newDir is a data directory that nobody has used.
func (b *bench) newDir() string {
	b.dirs++
	return filepath.Join(b.dir, "data-"+strconv.Itoa(b.dirs))
}

func ownCPU() (time.Duration, error) { return measure.CPU(os.Getpid()) }
