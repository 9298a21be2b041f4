package live

import (
	"math"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

// encodeRootBootstrap encodes what was read for namespace /: the samples of the
// room's one member. It also returns the newest time, or math.MinInt64.
func encodeRootBootstrap(m pastOfRoom, known identified, zone *time.Location) ([][]byte, int64) {
	var samples []bus.Sample
	for i := range m.series {
		if known.ids[i] >= 0 {
			samples = samplesOf(&m.series[i])
		}
	}
	last := int64(math.MinInt64)
	if n := len(samples); n > 0 {
		last = samples[n-1].T
	}
	return [][]byte{wire.AppendRoot(nil, samples, zone)}, last
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

// newestSent returns the newest time that a viewer of r, a room of namespace /, holds
// after a flush: of the pending samples, and of what the joining viewers are sent.
// Joining viewers count from this flush on and not from their bootstraps on: a sample that is
// pending when a bootstrap with it is read would otherwise count as sent, and the
// viewers that are there would never get it. The caller holds Hub.mu.
func newestSent(r *Room, parties []party) int64 {
	_, newest := newer(r.pending, r.rootT)
	for i := range parties {
		_, last := newer(parties[i].chunks, parties[i].lastT)
		newest = max(newest, last)
	}
	return newest
}
