package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/textline"
)

const (
	// maxWaiting bounds the numbers that were read and not sent yet. When the bound is reached, reading
	// waits. At one number a second the bound is a little more than a day, and servers refuse older
	// numbers.
	maxWaiting = 100_000
	// maxLine bounds the bytes of a line.
	maxLine = 1 << 20
	// maxKeys bounds the series of one stripchart push.
	maxKeys = 10_000
	// maxAhead is how far the times of lines without one may be ahead of the clock; see
	// lineSeries.now.
	maxAhead = time.Second
)

// reading is a number that was read.
type reading struct {
	series *lineSeries
	line   int
	sample bus.Sample
	ends   bool // the last of its line
}

// lineSeries is one series of stripchart push.
type lineSeries struct {
	labels labels.Labels
	last   int64 // the newest time that was given to a line without one
}

// lineReader reads lines and makes readings of them.
type lineReader struct {
	names    [][2]string // labels of all series
	series   map[string]*lineSeries
	readings chan reading  // closed once everything is read
	ended    chan struct{} // closed before readings
	err      error         // why reading ended before its end; valid once ended is closed
	unread   atomic.Int64  // lines that could not be read
	say      func(format string, args ...any)
}

func newLineReader(names [][2]string, say func(string, ...any)) *lineReader {
	return &lineReader{names: names, series: map[string]*lineSeries{}, readings: make(chan reading, maxWaiting), ended: make(chan struct{}), say: say}
}

// run reads until in ends, or until stop is closed and the next line has come.
func (r *lineReader) run(in io.Reader, stop <-chan struct{}) {
	defer close(r.readings)
	defer close(r.ended)
	lines := bufio.NewReaderSize(in, 64<<10)
	for number := 1; ; number++ {
		line, long, err := readLine(lines)
		if long {
			r.refuse(number, fmt.Errorf("the line has more than %d bytes", maxLine))
		} else if !r.take(number, line, stop) {
			return
		}
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			r.err = fmt.Errorf("standard input cannot be read: %w", err)
			return
		}
	}
}

// readLine returns the next line. A line that is too long is passed over.
func readLine(in *bufio.Reader) (line []byte, long bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if !long {
			line = append(line, part...)
		}
		if len(line) > maxLine {
			line, long = nil, true
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, long, err
		}
	}
}

// take hands the numbers of a line on; false: nobody takes them any more.
func (r *lineReader) take(number int, line []byte, stop <-chan struct{}) bool {
	l, errs := textline.Parse(line)
	var now int64
	if !l.Timed {
		now = time.Now().UnixMilli()
	}
	all := make([]reading, 0, len(l.Fields))
	for _, f := range l.Fields {
		s, err := r.find(f.Key)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, reading{series: s, line: number, sample: bus.Sample{T: l.Time, V: f.Value}})
	}
	for i, x := range all {
		x.ends = i == len(all)-1
		if !l.Timed {
			x.sample.T = x.series.now(now)
		}
		if !r.hand(x, stop) {
			return false
		}
	}
	if len(errs) > 0 {
		r.refuse(number, errors.Join(errs...))
	}
	return true
}

// hand hands a reading on. When too many wait it waits, and says so after a while.
func (r *lineReader) hand(x reading, stop <-chan struct{}) bool {
	select {
	case <-stop:
		return false
	default:
	}
	select {
	case r.readings <- x:
		return true
	default:
	}
	after := time.NewTimer(time.Second)
	defer after.Stop()
	for {
		select {
		case r.readings <- x:
			return true
		case <-stop:
			return false
		case <-after.C:
			r.say("%d numbers wait to be sent; nothing more is read until the server has taken some", maxWaiting)
		}
	}
}

func (r *lineReader) refuse(number int, err error) {
	r.unread.Add(1)
	r.say("line %d: %v", number, err)
}

// now returns the time of a line that names none: now, but never one that the series has
// already, for the second value would be taken for a duplicate of the first. Lines that come
// faster than one a millisecond are held back.
func (s *lineSeries) now(now int64) int64 {
	if s.last > now+2*maxAhead.Milliseconds() {
		s.last = 0 // the clock was set back
	}
	s.last = max(now, s.last+1)
	time.Sleep(time.Duration(s.last-now)*time.Millisecond - maxAhead)
	return s.last
}

// find returns the series of a key.
func (r *lineReader) find(key string) (*lineSeries, error) {
	if s := r.series[key]; s != nil {
		return s, nil
	}
	if len(r.series) == maxKeys {
		return nil, fmt.Errorf("%.60q would be one more than %d series", key, maxKeys)
	}
	b := bus.NewLabelBuilder(bus.EndpointLabels())
	for _, l := range r.names {
		if l[0] == model.MetricNameLabel && key != "" {
			l[1] += "_" + key
		}
		b.Add([]byte(l[0]), []byte(l[1]))
	}
	ls, err := b.Labels()
	if err != nil {
		return nil, err
	}
	s := &lineSeries{labels: ls}
	r.series[key] = s
	return s, nil
}
