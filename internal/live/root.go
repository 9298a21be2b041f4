package live

import (
	"math"

	"stripchart/internal/bus"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

// rootEncoding is the encoding of namespace /, which the ancestor of this program has defined: one
// series, and only samples that are newer than all before them.
type rootEncoding struct {
	*audience
	newest int64 // newest time that viewers were sent, Unix ms; guarded by recent.Log.Mu
}

func (*rootEncoding) tellsMore() bool { return false }

func (e *rootEncoding) take(j *job) {
	j.rootFrom = e.newest
	e.newest = newestSent(j, e.newest)
}

func (e *rootEncoding) broadcast(j *job) []Packet {
	samples, _ := newer(j.pending, j.rootFrom)
	return append(e.update(samples), e.gaps(j.gaps)...)
}

func (e *rootEncoding) party(_ *job, p *party) []Packet {
	samples, _ := newer(p.chunks, p.lastT)
	return append(e.update(samples), e.gaps(p.gaps)...)
}

func (e *rootEncoding) update(samples []bus.Sample) []Packet {
	if len(samples) == 0 {
		return nil
	}
	return []Packet{e.transport.Encode(NamespaceRoot, wire.EventUpdate, wire.AppendRoot(nil, samples, e.o.Zone))}
}

func (e *rootEncoding) bootstrap(past pastOfRoom, known identified) ([][]byte, int64) {
	var samples []bus.Sample
	for i := range past.series {
		if known.ids[i] >= 0 {
			samples = samplesOf(&past.series[i])
		}
	}
	last := int64(math.MinInt64)
	if n := len(samples); n > 0 {
		last = samples[n-1].T
	}
	return [][]byte{wire.AppendRoot(nil, samples, e.o.Zone)}, last
}

func (e *rootEncoding) stamp(part []byte, _ string, _ int64) Packet {
	return e.transport.Encode(NamespaceRoot, wire.EventBootstrap, part)
}

func (e *rootEncoding) gaps(gs []wire.Gap) (ps []Packet) {
	for i := range gs {
		ps = append(ps, e.transport.Encode(NamespaceRoot, wire.EventGap, wire.AppendRootGap(nil, &gs[i], e.o.Zone)))
	}
	return ps
}

// samplesOf returns a history as samples, at the places that docs/PROTOCOL.md
// gives the four values of a column.
func samplesOf(hs *store.History) []bus.Sample {
	var out []bus.Sample
	for i, t := range hs.T {
		out = append(out, bus.Sample{T: t, V: hs.V[i]})
	}
	for i, v := range hs.M4 {
		t := hs.X0 + int64(i/4)*hs.Step + int64(i%4)*hs.Step/4
		// The last column has not ended: a place behind the newest sample would lie
		// in the future, and the next update before it.
		t = min(t, hs.Newest)
		if n := len(out); !math.IsNaN(v) && (n == 0 || t > out[n-1].T) {
			out = append(out, bus.Sample{T: t, V: v})
		}
	}
	return out
}

// newer returns the samples of chunks that are newer than all before them,
// and than last: namespace / has no place for late ones.
func newer(chunks []chunk, last int64) ([]bus.Sample, int64) {
	var out []bus.Sample
	for _, c := range chunks {
		for _, s := range c.samples {
			if s.T > last {
				out = append(out, s)
				last = s.T
			}
		}
	}
	return out, last
}

// newestSent returns the newest time that a viewer in namespace / holds after a flush: of the pending
// samples, and of what the joining viewers are sent. A bootstrap counts only from the flush that makes
// its viewer current. Otherwise a pending sample that a bootstrap already holds would count as sent,
// and the current viewers would never get it.
func newestSent(j *job, newest int64) int64 {
	_, newest = newer(j.pending, newest)
	for i := range j.parties {
		_, last := newer(j.parties[i].chunks, j.parties[i].lastT)
		newest = max(newest, last)
	}
	return newest
}
