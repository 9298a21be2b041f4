package live

import (
	"math"
	"slices"
	"sync"

	"stripchart/internal/recent"
	"stripchart/internal/wire"
)

// maxResume is how many samples a viewer is sent from the ring; one that missed
// more gets a bootstrap, whose size is bounded by its points.
const maxResume = 256 << 10

// party is newcomers of a room that share a cursor, so that one encoding serves
// them all.
type party struct {
	viewers     []*viewer
	cursor      uint64
	since       string // position that the viewers resume from; "": they do not resume
	reason      string
	chunks      []chunk
	samples     int // in chunks
	most        int // in chunks, of one member; 0 where they do not resume
	gaps        []wire.Gap
	lastT       int64 // newest time of their bootstrap, for namespace /
	descriptors []wire.Descriptor
	matched     *int // how many series match, if a page was told another number; nil: none was
}

// takeNewcomers groups the newcomers of r by cursor and makes them current.
// The caller holds recent.Log.Mu.
func (r *Room) takeNewcomers(end uint64) []party {
	type key struct {
		cursor uint64
		since  string
		reason string
		lastT  int64
	}
	if len(r.seats.newcomers) == 0 {
		return nil
	}
	var parties []party
	byKey := map[key]int{}
	missed, matched := missedBy(r), r.matched()
	inWindow := sync.OnceValue(func() []wire.Gap {
		return r.members.messages(r.id, r.follower.GapsIn(r.recent.Now()-r.horizon, math.MaxInt64))
	})
	at := r.recent.Ring.Position(end)
	var stay []*viewer
	for _, v := range r.seats.newcomers {
		switch {
		case v.generation != r.crowd.generation:
			v.bootstrapFor(wire.ReasonLost)
			continue
		case v.ahead.IsZero() && !r.recent.Ring.Covers(v.cursor), !v.ahead.IsZero() && v.ahead.Epoch != at.Epoch:
			v.joinAnew()
			continue
		case v.ahead.Compare(at.Offset) > 0:
			// The page has seen more of the log than this server: v waits until this server has reached
			// the place.
			stay = append(stay, v)
			continue
		}
		if !v.ahead.IsZero() {
			i, covered := r.recent.Ring.Find(v.ahead)
			if !covered {
				v.joinAnew()
				continue
			}
			v.reached(i)
		}
		k := key{v.cursor, v.since, v.reason, v.lastT}
		if v.since == "" {
			k.reason = "" // the bootstrap has told it
		}
		i, ok := byKey[k]
		if !ok {
			i = len(parties)
			byKey[k] = i
			chunks, n := missed.from(v.cursor)
			if n > maxResume {
				// Bootstraps that end there would lead here again.
				r.shared.expire(v.cursor)
			}
			var gaps []wire.Gap
			if v.since != "" && v.reason == wire.ReasonResume {
				// The server that the page comes from may have declared a gap at a later place of the
				// log than this server.
				gaps = inWindow()
			} else {
				gaps = r.members.messages(r.id, missed.gapsFrom(v.cursor))
			}
			p := party{
				cursor: v.cursor, since: v.since, reason: v.reason, chunks: chunks, samples: n, lastT: v.lastT,
				gaps:        gaps,
				descriptors: r.members.describe(chunks, gaps, v.since != ""),
			}
			if v.since != "" {
				p.most = mostOfAMember(chunks)
			}
			parties = append(parties, p)
		}
		parties[i].viewers = append(parties[i].viewers, v)
		if v.told != matched {
			parties[i].matched = &matched
		}
	}
	r.seats.keep(stay)
	for i := range parties {
		p := &parties[i]
		p.viewers = slices.DeleteFunc(p.viewers, func(v *viewer) bool {
			fits := p.samples <= maxResume && p.most <= v.points
			if fits {
				r.seats.settle(v)
			} else {
				v.joinAnew()
			}
			return !fits
		})
	}
	return slices.DeleteFunc(parties, func(p party) bool { return len(p.viewers) == 0 })
}

// mostOfAMember returns how many samples the chunks hold of the member that has most.
func mostOfAMember(chunks []chunk) int {
	counts := map[*member]int{}
	most := 0
	for _, c := range chunks {
		counts[c.member] += len(c.samples)
		most = max(most, counts[c.member])
	}
	return most
}

// missedEntries is what the ring holds of a room's members, from the oldest cursor of its
// newcomers on.
type missedEntries struct {
	chunks []chunk
	index  []uint64 // of each chunk's entry, ascending
	total  []int    // samples up to and with each chunk

	gaps   []*recent.Gap
	gapsAt []uint64 // index of each gap's entry, ascending
}

// missedBy gathers what the newcomers of r have missed, in one pass over the ring
// for all of them. The caller holds recent.Log.Mu.
func missedBy(r *Room) missedEntries {
	first := r.recent.Ring.End()
	for _, v := range r.seats.newcomers {
		cursor := v.cursor
		if !v.ahead.IsZero() {
			cursor, _ = r.recent.Ring.Find(v.ahead) // of another epoch: it joins anew
		}
		if r.recent.Ring.Covers(cursor) {
			first = min(first, cursor)
		}
	}
	var missed missedEntries
	samples := 0
	for i, e := range r.recent.Ring.From(first) {
		for _, g := range e.Gaps {
			missed.gaps = append(missed.gaps, g)
			missed.gapsAt = append(missed.gapsAt, first+uint64(i))
		}
		for _, p := range e.Parts {
			for _, x := range p.Series.Members {
				if m := x.(*member); m.room == r {
					samples += len(p.Samples)
					missed.chunks = append(missed.chunks, chunk{m, p.Samples})
					missed.index = append(missed.index, first+uint64(i))
					missed.total = append(missed.total, samples)
				}
			}
		}
	}
	return missed
}

// from returns the chunks of entry i on, and the number of their samples.
func (m *missedEntries) from(i uint64) ([]chunk, int) {
	n, _ := slices.BinarySearch(m.index, i)
	if n == len(m.chunks) {
		return nil, 0
	}
	before := 0
	if n > 0 {
		before = m.total[n-1]
	}
	return m.chunks[n:], m.total[len(m.total)-1] - before
}

// gapsFrom returns the gaps that entry i and later ones have revealed.
func (m *missedEntries) gapsFrom(i uint64) []*recent.Gap {
	n, _ := slices.BinarySearch(m.gapsAt, i)
	return m.gaps[n:]
}

// describe returns the descriptors of the members in chunks and, for viewers
// that resume, of all that every current viewer knows: the ids may be new to
// them. The caller holds recent.Log.Mu.
func (x *members) describe(chunks []chunk, gaps []wire.Gap, resumes bool) []wire.Descriptor {
	seen := map[int]bool{}
	out := []wire.Descriptor{}
	add := func(m *member) {
		if !seen[m.id] {
			seen[m.id] = true
			out = append(out, m.descriptor())
		}
	}
	for _, c := range chunks {
		add(c.member)
	}
	concerned := idsOf(gaps)
	for _, m := range x.byKey {
		if resumes && m.announced || concerned[m.id] {
			add(m)
		}
	}
	slices.SortFunc(out, func(a, b wire.Descriptor) int { return a.ID - b.ID })
	return out
}
