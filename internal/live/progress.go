package live

import (
	"encoding/json"
	"fmt"

	"stripchart/internal/bus"
	"stripchart/internal/store"
)

const (
	// replaySpan is how far before the saved position the log is applied again
	// after a start, in ms: what the kernel had not written when the power failed,
	// and late samples that a kill may have cost (docs/decisions/0005).
	replaySpan = 60_000
	// checkpointEvery is the distance of the places that a replay can begin at, in ms.
	checkpointEvery = 5_000
	// sourceMemory is how long a source's sequence is remembered after its last
	// batch, in ms: longer than a spool can hold a batch back.
	sourceMemory = 48 * 3600 * 1000
)

// progress is how far the log was applied. Guarded by Hub.mu.
//
// What is saved of it lags behind the commits, so that after a kill everything up
// to the saved position is in the store. After a start the log is read from the
// replay position, and what lies up to the saved one is applied without regard to
// sequence numbers: the numbers that were saved are those at the saved position,
// and would have it all skipped.
type progress struct {
	// saved is the position that a life before this one has saved; zero: none.
	saved bus.Position
	// applied is the newest position that this process has applied; zero: none.
	applied bus.Position
	// from is where the present Tail began, and read the newest position that it has
	// passed, at first from.
	from, read bus.Position
	readAt     int64 // when read was passed, the server's clock, Unix ms
	// unstored is the newest position before the first batch that was not recorded
	// because the disk was full; everything after it is applied again when there is room.
	unstored   bus.Position
	isUnstored bool
	unstoredAt uint64 // ring index of that batch

	// damaged says that the store was repaired while the server ran, and has lost
	// something: all that the log retains is applied again.
	damaged bool

	againFailed bool // the disk was full, or the store damaged, once more meanwhile
	// end is the log's end as it was when the tail began, and rereading says that the
	// log of a new epoch is being read up to there: mostly what is known already.
	end         bus.Position
	rereading   bool
	intact      bool // the store holds everything up to saved
	first       bool // the next entry is the first of a log that is read from its beginning
	checkpoints []bus.Position
}

// savedProgress is the form of store.Progress.
type savedProgress struct {
	Version  int                    `json:"version"` // 1
	Position string                 `json:"position,omitempty"`
	Replay   string                 `json:"replay,omitempty"`
	Sources  map[string]savedSource `json:"sources"`
	Loss     *savedLoss             `json:"loss,omitempty"` // the newest, while it is judged or recent
	Late     reach                  `json:"late"`           // Hub.late
}

// savedLoss is a loss in savedProgress; times as there.
type savedLoss struct {
	Reason   string `json:"reason"`
	From     int64  `json:"from"`
	Newest   int64  `json:"newest"`
	Until    int64  `json:"until"`
	UntilSeq uint64 `json:"until_seq,omitempty"`
	To       int64  `json:"to,omitempty"`
	Over     bool   `json:"over,omitempty"`
}

type savedSource struct {
	Seq      uint64 `json:"seq"`
	EpochSeq uint64 `json:"epoch_seq,omitempty"`
	SentT    *int64 `json:"sent_t,omitempty"` // Unix ms, like those that follow; not there: as LastT
	LastT    int64  `json:"last_t"`
	Back     reach  `json:"back"`
	Lag      reach  `json:"lag"`
	HeardAt  int64  `json:"heard_at"` // Unix ms

	Hole *savedHole `json:"hole,omitempty"`
}

// savedHole is a hole in savedSource, without the series for which it was declared: the
// next life finds them anew, and tells their gaps again.
type savedHole struct {
	Reason string `json:"reason"`
	Bound  int64  `json:"bound"` // Unix ms
	To     int64  `json:"to"`
}

// known returns the newest position up to which the store holds everything.
func (p *progress) known() bus.Position {
	if p.applied.IsZero() || p.replays(p.applied) {
		return p.saved
	}
	return p.applied
}

// skips reports whether the log has lost its end behind the back of its readers: a
// Tail that began before what is known reaches an entry after it, and has not met
// it. The bus only judges the place where a Tail begins, which is earlier.
func (p *progress) skips(at bus.Position) bool {
	known := p.known()
	return !p.first && at.Epoch == known.Epoch && at.Compare(known.Offset) > 0 &&
		p.read.Epoch == known.Epoch && p.read.Compare(known.Offset) < 0
}

// replays reports whether the entry at a position was applied by a life before
// this one.
func (p *progress) replays(at bus.Position) bool {
	return at.Epoch == p.saved.Epoch && at.Compare(p.saved.Offset) <= 0
}

// wasApplied reports whether this process has applied the entry already, and
// perhaps not recorded it.
func (p *progress) wasApplied(at bus.Position) bool {
	return at.Epoch == p.applied.Epoch && at.Compare(p.applied.Offset) <= 0
}

// newEpoch forgets places of the log that was.
func (p *progress) newEpoch() {
	p.saved, p.applied, p.checkpoints = bus.Position{}, bus.Position{}, nil
	p.unstored, p.isUnstored = bus.Position{}, false
}

// checkpointsUpTo returns the checkpoints up to at as places of its epoch, which goes on
// from there as the present one did.
func (p *progress) checkpointsUpTo(at bus.Position) (places []bus.Position) {
	for _, c := range p.checkpoints {
		if at.Compare(c.Offset) >= 0 {
			places = append(places, bus.Position{Epoch: at.Epoch, Offset: c.Offset})
		}
	}
	return places
}

// advance notes that the entry at a position was applied.
func (p *progress) advance(at bus.Position) {
	p.applied = at
	if p.rereading && (at.Epoch != p.end.Epoch || at.Compare(p.end.Offset) >= 0) {
		p.rereading = false
	}
	if n := len(p.checkpoints); n == 0 || at.LogTime() >= p.checkpoints[n-1].LogTime()+checkpointEvery {
		p.checkpoints = append(p.checkpoints, at)
	}
}

// replay returns the newest checkpoint that is replaySpan before the applied
// position; the zero Position, the log's beginning, when there is none.
func (p *progress) replay() bus.Position {
	limit := p.applied.LogTime() - replaySpan
	n := 0
	for n+1 < len(p.checkpoints) && p.checkpoints[n+1].LogTime() <= limit {
		n++
	}
	p.checkpoints = p.checkpoints[n:]
	if len(p.checkpoints) == 0 || p.checkpoints[0].LogTime() > limit {
		return bus.Position{}
	}
	return p.checkpoints[0]
}

// restore takes up what a life before this one has saved, and returns where to
// read the log from.
func (h *Hub) restore() (from bus.Position, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.restoreGaps(); err != nil {
		return from, err
	}
	if !h.o.Replica {
		// A log in memory begins anew with every process. What is saved of one lags
		// behind what was applied, so after a kill the sequence numbers would tell of gaps
		// that are none; sources that have dropped something say so (source.recall).
		return from, nil
	}
	b, err := h.store.Kept(store.Progress)
	if err != nil {
		return from, fmt.Errorf("read how far the log was applied: %w", err)
	}
	if len(b) == 0 {
		return from, nil
	}
	var s savedProgress
	if err := json.Unmarshal(b, &s); err != nil || s.Version != 1 {
		// Only more is read than is needed: all that the log retains.
		h.log.Warn("it is not legible how far the log was applied; reading all of it", "file", store.Progress)
		return from, nil
	}
	for id, x := range s.Sources {
		src := &source{
			id: id, seq: x.Seq, epochSeq: x.EpochSeq, sentT: x.LastT, lastT: x.LastT, heardAt: x.HeardAt, back: x.Back, lag: x.Lag,
			series: map[*series]struct{}{},
		}
		if x.SentT != nil {
			src.sentT = *x.SentT
		}
		if x := x.Hole; x != nil {
			src.hole = &hole{reason: x.Reason, bound: x.Bound, to: x.To, told: map[uint64]struct{}{}}
		}
		h.sources[id] = src
	}
	h.late = s.Late
	p := &h.progress
	if p.saved, err = bus.ParsePosition(s.Position); err != nil {
		return from, nil
	}
	h.begun = true
	if l := s.Loss; l != nil {
		h.loss = &loss{
			reason: l.Reason, from: l.From, newest: l.Newest, until: bus.Offset{Ms: l.Until, Seq: l.UntilSeq}, to: l.To,
			over: l.Over, away: !l.Over,
		}
		h.losses++
		for _, src := range h.sources {
			if src.heardAt > l.Until {
				src.heardSince = h.loss
			}
		}
	}
	// What is not declared yet may have been lost by a life that has not read the log again.
	p.intact = h.store.Intact() && len(h.store.Losses()) == 0
	if !p.intact {
		h.log.Warn("the machine was restarted, or the history repaired: applying all that the log retains again")
		// The next start must not take the history for whole because this one was
		// interrupted.
		s.Replay = ""
		if b, err = json.Marshal(s); err == nil {
			err = h.store.Keep(store.Progress, b)
		}
		return from, err
	}
	from, err = bus.ParsePosition(s.Replay)
	if err != nil {
		from = bus.Position{}
	}
	if !from.IsZero() {
		p.checkpoints = append(p.checkpoints, from)
	}
	return from, nil
}

// progressToSave returns nil for a log that does not outlive this process, and while
// the saved position has to stand still: before anything was applied, and while
// something is shown that is not recorded.
func (h *Hub) progressToSave() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := &h.progress
	h.sources.forget(h.now() - sourceMemory)
	if p.isUnstored || !h.o.Replica || p.applied.IsZero() {
		return nil
	}
	s := savedProgress{
		Version: 1, Position: p.applied.String(), Replay: p.replay().String(), Late: h.late,
		Sources: make(map[string]savedSource, len(h.sources)),
	}
	if p.replays(p.applied) {
		s.Position = p.saved.String()
	}
	if p.damaged {
		s.Replay = "" // the next start goes on with it
	}
	for id, x := range h.sources {
		saved := savedSource{Seq: x.seq, EpochSeq: x.epochSeq, SentT: &x.sentT, LastT: x.lastT, HeardAt: x.heardAt, Back: x.back, Lag: x.lag}
		if x.hole != nil {
			saved.Hole = &savedHole{Reason: x.hole.reason, Bound: x.hole.bound, To: x.hole.to}
		}
		s.Sources[id] = saved
	}
	// What is new may have begun in a loss for a while after that was judged.
	if l := h.loss; l != nil && (!l.over || l.waited(p.applied.LogTime()) <= holePatience) {
		s.Loss = &savedLoss{Reason: l.reason, From: l.from, Newest: l.newest, Until: l.until.Ms, UntilSeq: l.until.Seq, To: l.to, Over: l.over}
	}
	b, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("live: progress: %v", err)) // our own types always have a JSON form
	}
	return b
}
