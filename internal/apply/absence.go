package apply

import (
	"context"
	"fmt"
	"math"
	"math/bits"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/recent"
	"stripchart/internal/store"
)

// A gap is made here, of an absence: what may be missing because of one event. Merged gaps are
// made in ledger.go, and those of a life before are read in savedgaps.go.
//
// Clocks: S is the time of samples, as their writer measured them; L is the log's time of an
// entry; B is FutureBound, which no sample lies further ahead of the log than. The window is the
// longest that a page may ask for: no gap is older.
//
//	trigger               clock  from                            to                        reason           told
//	a source's number     S      the newest time accepted of     behind the batch that     source_dropped,  with that batch
//	jumps (hole.go)              the series, less what the       jumps; L + B where it     or that of a
//	                             source goes back by             is not newer              loss
//	a series that its     S      as above                        the hole's                the hole's       with the batch that
//	source lacked in a                                                                                      shows the series
//	hole is first seen
//	the log was trimmed,  S, L   the newest time accepted of     L of the first entry      log_trimmed,     once sources had
//	or has lost its end          the series, or L of the last    behind the loss + B       log_lost         time to come back:
//	(loss.go)                    entry before the loss                                                      with a batch, or
//	                             less the greatest lateness                                                 by the clock
//	a new series shows    S, L   as above                        as above                  as above         with the batch that
//	up after a loss                                                                                         shows the series
//	what was only shown   S, L   L of the last entry that was    L of the entry that was   log_trimmed,     with that entry
//	is gone from the log         recorded, less lateness         found + B                 log_lost
//	the store was         S      as the store says               as the store says         damaged          at once; for a
//	damaged (damage.go)                                                                                     reader, with the
//	                                                                                                        history
//	the declared gaps     -      the beginning of time           the server's clock        damaged          at the start
//	are unreadable
//	the ring lacks what   L      as for what is gone             L of the ring's           not_stored       to a joining page;
//	was only shown                                               beginning + B                              never declared
//
// An entry with gaps goes into the ring, so gaps are in the order of the log: a page that is sent
// the ring from before the entry is told.

// newestWithin is how long before a gap the store is asked for the newest sample of a
// series, in ms: where it is older, the gap begins here.
const newestWithin = 24 * 3600 * 1000

// absence is what may be missing because of one event. It is declared as one or more gaps, as soon as
// its beginning is known.
type absence struct {
	reason string
	source string // whose batches are missing; empty: the log's

	// Either the series with their spans,
	series []missing
	// or one span of all of them. Unix ms, both ends excluded.
	of       *recent.Concern
	from, to int64

	// storedBefore, if not 0, is a time: the absence then also covers the series that the store holds
	// in the hour before that time and that this process does not know.
	storedBefore int64
	storedTo     int64  // missing.to of those
	declared     func() // called with recent.Log.Mu held when the gaps are declared; may be nil
}

// missing is one series that may lack samples. Times are Unix ms.
type missing struct {
	hash   uint64
	labels labels.Labels
	// after is the newest time that was accepted of the series before what is missing.
	// recent.UnknownTime: this process has not heard of any, and the store is asked.
	after int64
	// bound is when what is missing begins at the latest, since after may not be known.
	bound int64
	// first is the oldest time of the series in the batch with which this is found; 0: none. The store
	// may hold that batch, from a life before.
	first int64
	// lag is by how many ms before bound it may begin where no sample before it is known: the series may
	// have been behind the others of its source.
	lag int64
	// early is the greatest distance, in ms, by which a sample of the writer was older than one that
	// the writer had written before.
	early int64
	// to is the first time after the absence.
	to int64
}

// span returns the two times between which samples may be missing; both are excluded. A writer may
// publish what it measured at one time in several batches, so samples of the newest accepted time
// itself may be missing: from lies before it.
func (m *missing) span() (from, to int64) {
	from = m.bound
	if m.after != recent.UnknownTime {
		from = min(from, m.after)
	} else {
		from -= m.lag
	}
	return from - m.early - 1, m.to
}

// gaps returns the gaps to declare for m, within what can be shown: between oldest and newest.
// Series whose spans are about as long share a gap: a page is told of a few, not of one for
// each moment at which a series was written last.
func (m *absence) gaps(oldest, newest int64) []*recent.Gap {
	if m.of != nil {
		return []*recent.Gap{{From: m.from, To: m.to, Reason: m.reason, Source: m.source, Series: m.of}}
	}
	latest := int64(math.MinInt64)
	for i := range m.series {
		latest = max(latest, m.series[i].bound)
	}
	type span struct {
		to     int64
		length int // of the time before latest, as a power of two
	}
	type group struct {
		from   int64
		hashes []uint64
	}
	groups := map[span]*group{}
	var order []span // of their first series, so that the result is the same each time
	for i := range m.series {
		from, to := m.series[i].span()
		from, to = max(from, oldest), min(to, newest)
		if from >= to {
			continue
		}
		k := span{to, bits.Len64(uint64(max(0, latest-from-1) / 1000))}
		g := groups[k]
		if g == nil {
			g = &group{from: from}
			groups[k] = g
			order = append(order, k)
		}
		g.from = min(g.from, from)
		g.hashes = append(g.hashes, m.series[i].hash)
	}
	var gs []*recent.Gap
	for _, k := range order {
		g := groups[k]
		gs = append(gs, &recent.Gap{From: g.from, To: k.to, Reason: m.reason, Source: m.source, Series: recent.ConcernOf(g.hashes)})
	}
	return gs
}

// gap returns the one gap of an absence with one span.
func (m absence) gap() *recent.Gap { return m.gaps(0, 0)[0] }

// ask finds the beginning of the absence for each series that this process has not heard of: it looks
// up the newest stored sample. The caller holds applier.turn, so nothing is committed meanwhile. It
// does not hold recent.Log.Mu, because a series takes 10 to 20 µs.
func (j *judge) ask(ctx context.Context, m *absence) error {
	if m.storedBefore != 0 {
		if err := j.addStored(ctx, m); err != nil {
			return err
		}
	}
	var questions []store.Question
	var of []*missing
	for i := range m.series {
		if x := &m.series[i]; x.after == recent.UnknownTime {
			to := x.bound
			if x.first != 0 {
				to = min(to, x.first-1)
			}
			questions = append(questions, store.Question{Labels: x.labels, From: to - newestWithin, To: to})
			of = append(of, x)
		}
	}
	if err := j.store.LookUp(ctx, questions); err != nil {
		return fmt.Errorf("look for the newest samples before a gap: %w", err)
	}
	for i, x := range of {
		x.after = questions[i].Newest
	}
	return nil
}

// addStored adds the series that only the store knows.
func (j *judge) addStored(ctx context.Context, m *absence) error {
	every := []*labels.Matcher{labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+")}
	found, err := j.store.Series(ctx, every, m.storedBefore-recent.IndexAge.Milliseconds(), m.storedBefore)
	if err != nil {
		return fmt.Errorf("list the series before a gap: %w", err)
	}
	j.recent.Mu.Lock()
	defer j.recent.Mu.Unlock()
	for _, ls := range found {
		if j.recent.Index.Get(ls) == nil {
			m.series = append(m.series, missing{
				hash: recent.Hash(ls), labels: ls, after: recent.UnknownTime, bound: m.storedBefore - j.lateness(), early: j.earlyOf(nil), to: m.storedTo,
			})
		}
	}
	m.storedBefore = 0
	return nil
}

// gapsOf returns the gaps to declare for m at a log time.
func (j *judge) gapsOf(m *absence, logTime int64) []*recent.Gap {
	return m.gaps(logTime-j.window, logTime+FutureBound+1)
}
