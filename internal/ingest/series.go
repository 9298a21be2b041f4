package ingest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
)

// Series are the series that the server holds in memory. Options.MaxSeries bounds their
// number, and Options.MaxNewSeries its growth.
type Series interface {
	// Count returns how many there are. It is called for every request.
	Count() int
	// Known reports which of ls are among them.
	Known(ls []labels.Labels) []bool
}

// Reasons for which a new series is refused.
const (
	refusedMaxSeries = "max_series"
	refusedMemory    = "memory"     // there is room by number, but memory is short
	refusedPace      = "new_series" // there is room, but the minute has had its new series
)

// admission lets new series in up to a bound. It decides before the bus: what was
// acknowledged is never left out later. Series that are known always go on.
//
// Series of requests under way are not counted by Series yet, so they are reserved here. A reserved
// series may already be counted, or its batch may fail. While the room for a request depends on such
// reservations, the request is told to come again. A series is refused only when there is certainly no
// room.
type admission struct {
	max     int
	pace    pace // guarded by mu
	series  Series
	isShort func() bool // of memory: no new series is let in
	// late says that the bus acknowledges a batch before its series are counted. Every
	// series is looked up then. Otherwise a request that fits even if all its series are
	// new is not.
	late bool

	mu       sync.Mutex // guards what follows
	reserved int
	// released is the number of series that were ever released. A reservation that is
	// released after Count was called may be missing in both numbers, so reserve takes it
	// for one that still stands.
	released uint64
	waiting  []reservation // those of acknowledged batches, oldest first
	// cut holds, for each source, the newest numbers of batches of which series were refused; see
	// wasCut.
	cut map[string][]uint64
}

// reservation is the room of a batch that the bus has acknowledged, until its last
// series is known.
type reservation struct {
	n     int
	last  labels.Labels
	until time.Time
}

const (
	// maxWait is how long a reservation stays at most: its series may have been
	// refused behind the bus.
	maxWait = time.Minute
	// maxCut bounds the sources in admission.cut, beyond which all are forgotten, and
	// maxCutOfSource the numbers of one, of which the oldest go first.
	maxCut         = 4096
	maxCutOfSource = 64
)

// admitted is what admit has decided.
type admitted struct {
	again answer // not zero: nothing of the batch is to be written
	// later, if not zero, is the answer once the bus has the batch: the writer may send the series that
	// were left out again.
	later answer
	// done is to be called once the bus has answered; err is nil when it has the batch.
	done func(err error)
}

// admit leaves the new series out of b that exceed the bound, and reports them. While memory is short
// no new series is accepted. The shortage is temporary, so a batch with a number then waits as a whole:
// its number, once used up, would cover the samples that were left out. Of a batch without a number the
// known series are written.
func (a *admission) admit(b *bus.Batch, report *Report) admitted {
	nothing := admitted{done: func(error) {}}
	if a.series == nil || len(b.Series) == 0 {
		return nothing
	}
	a.wasCut(b, report)
	short := a.isShort()
	a.settle()
	released := a.releasedSoFar()
	if !a.late && !short {
		if taken, _ := a.reserve(len(b.Series), released, false, false); taken > 0 {
			return admitted{done: func(error) { a.release(taken) }}
		}
	}
	ls := make([]labels.Labels, len(b.Series))
	for i := range b.Series {
		ls[i] = b.Series[i].Labels
	}
	known := a.series.Known(ls)
	fresh, last := 0, labels.EmptyLabels()
	for i, k := range known {
		if !k {
			fresh, last = fresh+1, ls[i]
		}
	}
	if fresh == 0 {
		return nothing
	}
	if short {
		if b.Seq == 0 {
			a.leaveOut(b, known, 0, refusedMemory, report)
			nothing.later = shortOfMemory("the new series were not written, and the others were")
		} else {
			nothing.again = shortOfMemory("nothing was written")
		}
		return nothing
	}
	taken, found := a.reserve(fresh, released, true, b.Seq != 0)
	var later answer
	switch {
	case found == roomUnclear:
		return admitted{again: overloaded()}
	case found == roomLater && b.Seq != 0:
		return admitted{again: tooManyNewSeries("nothing was written", a.pace.max)}
	case found == roomLater:
		later = tooManyNewSeries("the new series beyond that were not written, and the others were", a.pace.max)
		last = a.leaveOut(b, known, taken, refusedPace, report)
	case taken < fresh:
		last = a.leaveOut(b, known, taken, refusedMaxSeries, report)
	}
	cut := taken < fresh
	source, seq := b.Source, b.Seq // the bus owns b then
	return admitted{later: later, done: func(err error) {
		if cut { // also after a failure, for the bus may have it
			a.noteCut(source, seq)
		}
		if a.late && err == nil {
			a.await(reservation{taken, last, time.Now().Add(maxWait)})
		} else {
			a.release(taken)
		}
	}}
}

// room is what reserve has found.
type room uint8

const (
	roomFound   room = iota // for the series that were taken; the others have none
	roomUnclear             // it depends on reservations that may be counted already or may come to nothing
	roomLater               // for the series that were taken; for the others in a later minute
)

// reserve takes room for n more series: for all of them, or, with part, for as many as there
// is room for. With whole, a batch that the pace does not let in as a whole waits, and takes
// no room. released is releasedSoFar of before the series were looked up.
func (a *admission) reserve(n int, released uint64, part, whole bool) (taken int, found room) {
	count := a.series.Count()
	a.mu.Lock()
	defer a.mu.Unlock()
	since := int(a.released - released)
	reserved := a.reserved + since
	grown := a.pace.grown(count, time.Now())
	switch free := a.max - count - reserved; {
	case n <= free:
		taken = n
	case !part:
		return 0, roomFound
	case since > 0, count < a.max && reserved > 0:
		return 0, roomUnclear
	default:
		taken = max(0, free)
	}
	switch paced := max(0, a.pace.max-grown-reserved); {
	case taken <= paced, whole && grown+reserved == 0: // a batch of more than a minute's series comes first in one
	case !part:
		return 0, roomFound
	case grown < a.pace.max && reserved > 0:
		return 0, roomUnclear
	case whole:
		return 0, roomLater
	default:
		taken, found = paced, roomLater
	}
	a.reserved += taken
	return taken, found
}

// pace bounds the new series of a minute. It goes by the number of series, so series that
// come in another way than over HTTP count too. The number is 0 after a start, and then at
// once that of the series in the database, which are not new: growth from 0 does not count.
type pace struct {
	max   int
	began time.Time // of the present minute
	least int       // the number of series when the minute began, or less since then
}

// grown returns by how many series the present minute has grown; count is their number now.
func (p *pace) grown(count int, now time.Time) int {
	if now.Sub(p.began) >= time.Minute {
		p.began, p.least = now, count
	}
	if p.least = min(p.least, count); p.least == 0 {
		p.least = count
	}
	return count - p.least
}

// grown returns how many series are new in the present minute.
func (a *admission) grown() int {
	count := a.series.Count()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pace.grown(count, time.Now())
}

// releasedSoFar returns how many series were ever released.
func (a *admission) releasedSoFar() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.released
}

// release gives back the room that was reserved for n series.
func (a *admission) release(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unreserve(n)
}

// unreserve is release for a caller that holds a.mu.
func (a *admission) unreserve(n int) {
	a.reserved -= n
	a.released += uint64(n)
}

// await keeps reserved room until the series that it is for are counted; settle releases it.
func (a *admission) await(r reservation) {
	if r.n == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = append(a.waiting, r)
}

// settle releases the room of the series that are counted by now. The log is read in order and a batch
// is applied as a whole, so the oldest reservations are settled first, and the last series of a batch
// shows that all its series are counted.
func (a *admission) settle() {
	for {
		a.mu.Lock()
		if len(a.waiting) == 0 {
			a.waiting = nil
			a.mu.Unlock()
			return
		}
		oldest := a.waiting[0]
		a.mu.Unlock()
		// Without the lock: it waits for others.
		if time.Now().Before(oldest.until) && !a.series.Known([]labels.Labels{oldest.last})[0] {
			return
		}
		a.mu.Lock()
		if len(a.waiting) > 0 && a.waiting[0].until == oldest.until && labels.Equal(a.waiting[0].last, oldest.last) {
			a.waiting = a.waiting[1:]
			a.unreserve(oldest.n)
		}
		a.mu.Unlock()
	}
}

// leaveOut removes the series from b that are neither known nor among the first
// taken of the others, and returns the last of these.
func (a *admission) leaveOut(b *bus.Batch, known []bool, taken int, reason string, report *Report) (last labels.Labels) {
	i := -1
	b.Series = slices.DeleteFunc(b.Series, func(s bus.Series) bool {
		if i++; known[i] {
			return false
		}
		if taken > 0 {
			taken--
			last = s.Labels
			return false
		}
		report.refuse(reason, len(s.Samples), func() string {
			switch reason {
			case refusedMemory:
				return fmt.Sprintf("%s is a new series, and the server is short of memory (--memory-limit)", name(&s))
			case refusedPace:
				return fmt.Sprintf("%s is a new series, and %d came within a minute (--max-new-series)", name(&s), a.pace.max)
			}
			return fmt.Sprintf("%s is a new series, and the server has as many as it may, %d (--max-series)", name(&s), a.max)
		})
		return true
	})
	return last
}

// noteCut notes that series of a batch were left out; seq 0: of one without a number.
func (a *admission) noteCut(source string, seq uint64) {
	if seq == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.cut) >= maxCut || a.cut == nil {
		a.cut = map[string][]uint64{}
	}
	numbers := append(a.cut[source], seq)
	a.cut[source] = numbers[max(0, len(numbers)-maxCutOfSource):]
}

// wasCut reports that series of a batch were refused when the batch came first. Readers of the log take
// the second batch for a duplicate of the first, so these series are not written even if there is room
// for them now.
func (a *admission) wasCut(b *bus.Batch, report *Report) {
	if b.Seq == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if slices.ContainsFunc(a.cut[b.Source], func(n uint64) bool { return b.First() <= n && n <= b.Seq }) {
		report.refuse(refusedMaxSeries, 0, func() string {
			return fmt.Sprintf("number %d came before, and new series in it were refused; that stands", b.Seq)
		})
	}
}
