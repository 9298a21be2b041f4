package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/apply"
	"stripchart/internal/bus"
	"stripchart/internal/recent"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

// errRoomClosed ends the read of a room that was closed meanwhile.
var errRoomClosed = errors.New("the room was closed before its history was read")

// reader reads history for the bootstraps of rooms, and once for a page that asks.
type reader struct {
	*audience
	store  Store
	reads  *store.Share // bounds how many histories are read at once, and for how long
	cached int          // bytes of the bootstraps that are shared; guarded by recent.Log.Mu
}

// count counts bytes of shared bootstraps. The caller holds recent.Log.Mu.
func (x *reader) count(n int) { x.cached += n }

// pastOfRoom is what was read for a bootstrap.
type pastOfRoom struct {
	room     string
	position bus.Position
	now      int64
	series   []store.History
	others   []labels.Labels // that match as well, but for which the room has no place
	unseen   int             // of others, those that only the store knows
	gaps     []*recent.Gap
}

// past reads the history of r for b. A failure is logged.
func (x *reader) past(r *Room, b *bootstrap) (pastOfRoom, error) {
	m := pastOfRoom{room: r.id}
	err := x.reads.Read(x.ctx, func(ctx context.Context) error { return x.readPast(ctx, r, b, &m) })
	m.unseen = x.unseen(m.others)
	if err != nil && x.ctx.Err() == nil && !errors.Is(err, errRoomClosed) {
		x.log.Warn("history could not be read for a bootstrap", "query", r.membership.selector.canonical, "err", err)
	}
	return m, err
}

// readPast is the read itself. It notes the ring's end and opens the querier under the lock, then
// reads without it. See the package comment for why this order is exact: the ring's end and the
// querier belong together, so both are taken in one hold of the lock.
func (x *reader) readPast(ctx context.Context, r *Room, b *bootstrap, m *pastOfRoom) error {
	x.recent.Mu.Lock()
	if r.closed {
		x.recent.Mu.Unlock()
		return errRoomClosed
	}
	m.now = x.recent.Now()
	// Samples may lie a little ahead. A clock that was far ahead once must not make
	// every column coarse.
	from, to := m.now-b.window, min(max(m.now, x.recent.Index.NewestT), m.now+apply.FutureBound)
	b.cursor = x.recent.Ring.End()
	if s := x.follower.Standing(); s.Unrecorded {
		// The store lacks what came since the disk was full; the ring has it, as far
		// as it goes back.
		b.cursor, b.partial = max(s.Since, x.recent.Ring.Start()), s.Partial
	}
	m.position = x.recent.Ring.Position(b.cursor)
	m.gaps = x.follower.GapsIn(from, to)
	if b.partial {
		m.gaps = append(m.gaps, x.follower.NotInRing(m.position))
	}
	snapshot, err := x.store.Snapshot(from, to)
	places := r.members.places(r.crowd.is)
	query := r.search.query[0] // with the regular expressions of others
	b.generation = r.crowd.generation
	x.recent.Mu.Unlock()
	if err != nil {
		return fmt.Errorf("open history: %w", err)
	}
	defer snapshot.Close()
	err = readFitting(b.points, func(points int) error {
		taken := *places
		m.others = nil
		snapshot.Only(func(ls labels.Labels) bool {
			if taken.take(ls) {
				return true
			}
			m.others = append(m.others, ls)
			return false
		})
		m.series, err = snapshot.History(ctx, query.matchers, from, to, points)
		return err
	})
	if err != nil {
		return fmt.Errorf("read history: %w", err)
	}
	for _, l := range snapshot.Missing() {
		m.gaps = append(m.gaps, apply.DamageGap(l))
	}
	return nil
}

// unseen returns how many of the series are not in the index.
func (x *reader) unseen(others []labels.Labels) int {
	n := 0
	for piece := range slices.Chunk(others, recent.PieceOf) {
		x.recent.Mu.Lock()
		for _, ls := range piece {
			if x.recent.Index.Get(ls) == nil {
				n++
			}
		}
		x.recent.Mu.Did(len(piece))
		x.recent.Mu.Unlock()
	}
	return n
}

// once reads a history that is not shared and has no position.
func (x *reader) once(sel selector, from, to int64, points int) (*wire.HistoryAnswer, error) {
	var hs []store.History
	var gs []*recent.Gap
	matched := 0
	err := x.reads.Read(x.ctx, func(ctx context.Context) (err error) {
		snapshot, err := x.store.Snapshot(from, to)
		if err != nil {
			return fmt.Errorf("open history: %w", err)
		}
		defer snapshot.Close()
		return readFitting(points, func(points int) error {
			matched = 0
			snapshot.Only(func(labels.Labels) bool {
				matched++
				return matched <= x.o.Limits.Series
			})
			if hs, err = snapshot.History(ctx, sel.matchers, from, to, points); err != nil {
				return err
			}
			gs = nil
			for _, l := range snapshot.Missing() {
				gs = append(gs, apply.DamageGap(l))
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	answer := &wire.HistoryAnswer{OK: true, From: from, To: to, Now: x.recent.Now(), Matched: matched, Series: []wire.Descriptor{}}
	x.recent.Mu.Lock()
	gs = append(gs, x.follower.GapsIn(from, to)...)
	x.recent.Mu.Unlock()
	if hs, err = x.withLacking(sel, hs, gs); err != nil {
		return nil, err
	}
	ids := make([]int, len(hs))
	for i := range hs {
		ids[i] = i
		answer.Series = append(answer.Series, wire.Descriptor{ID: i, Labels: hs[i].Labels, IntervalMS: hs[i].IntervalMS})
	}
	answer.Blocks = blocksOf(historyRows(hs, ids))
	answer.Gaps = gapsOfHistory(gs, hs)
	return answer, nil
}

// besideGap is how far outside of a gap a series may have its nearest sample, in ms, to be in a history of
// what lies in the gap.
const besideGap = int64(time.Hour / time.Millisecond)

// withLacking adds the series to a history that have no sample in its span because of a gap: the reader is
// to see the gap.
func (x *reader) withLacking(sel selector, hs []store.History, gs []*recent.Gap) ([]store.History, error) {
	if len(gs) == 0 || len(hs) >= x.o.Limits.Series {
		return hs, nil
	}
	from, to, lacking := gs[0].From, gs[0].To, gs[0].Series
	for _, g := range gs[1:] {
		from, to, lacking = min(from, g.From), max(to, g.To), lacking.Union(g.Series)
	}
	var beside []labels.Labels
	err := x.reads.Read(x.ctx, func(ctx context.Context) (err error) {
		beside, err = x.store.Series(ctx, sel.matchers, from-besideGap, to+besideGap)
		return err
	})
	if err != nil {
		return nil, err
	}
	has := make(map[uint64]bool, len(hs))
	for i := range hs {
		has[recent.Hash(hs[i].Labels)] = true
	}
	for _, ls := range beside {
		if hash := recent.Hash(ls); len(hs) < x.o.Limits.Series && !has[hash] && lacking.Has(hash) {
			hs = append(hs, store.History{Labels: ls})
		}
	}
	return hs, nil
}

// gapsOfHistory returns what a history's reader is told of gaps.
func gapsOfHistory(gs []*recent.Gap, hs []store.History) (out []wire.Gap) {
	hashes := make([]uint64, len(hs))
	for i := range hs {
		hashes[i] = recent.Hash(hs[i].Labels)
	}
	for _, g := range gs {
		var ids []int
		for i, hash := range hashes {
			if g.Series.Has(hash) {
				ids = append(ids, i)
			}
		}
		if len(ids) > 0 {
			out = append(out, wire.Gap{IDs: ids, From: g.From, To: g.To, Reason: g.Reason})
		}
	}
	return out
}

// readFitting calls read with fewer and fewer points, until all series together have no
// more values than the store returns at once.
func readFitting(points int, read func(points int) error) error {
	for {
		err := read(points)
		if !errors.Is(err, store.ErrTooLarge) || points/2 < wire.MinPoints {
			return err
		}
		points /= 2
	}
}
