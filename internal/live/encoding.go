package live

import (
	"cmp"
	"math"
	"slices"

	"stripchart/internal/bus"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

// encoding is how the viewers of a room are sent what it has to tell. A room has its own.
type encoding interface {
	// tellsMore reports whether viewers can be told more than new samples: the room's state, the
	// server's clock, and samples that are older than the newest that viewers hold.
	tellsMore() bool
	// take notes what viewers will have been sent once j is sent. The caller holds recent.Log.Mu.
	take(j *job)
	// broadcast encodes what the room's current viewers are sent.
	broadcast(j *job) []Packet
	// party encodes what newcomers are sent.
	party(j *job, p *party) []Packet
	// bootstrap encodes what was read, in parts, without the reason. lastT is the newest time that
	// namespace / holds then.
	bootstrap(past pastOfRoom, known identified) (parts [][]byte, lastT int64)
	// stamp makes the packet of a part of a bootstrap.
	stamp(part []byte, reason string, now int64) Packet
	// gaps encodes gaps.
	gaps(gs []wire.Gap) []Packet
}

// liveEncoding is that of namespace /live: see docs/PROTOCOL.md.
type liveEncoding struct{ *audience }

func (liveEncoding) tellsMore() bool { return true }

func (liveEncoding) take(*job) {}

func (e liveEncoding) broadcast(j *job) []Packet {
	var ps []Packet
	if len(j.pending) > 0 || len(j.update.Series) > 0 || len(j.update.Gone) > 0 || j.update.Matched != nil {
		j.update.Blocks = blocksOf(rowsOf(j.pending))
		ps = append(ps, e.update(j.update))
	}
	ps = append(ps, e.gaps(j.gaps)...)
	if j.tellState {
		ps = append(ps, e.status(j))
	}
	return ps
}

// status tells the room's state.
func (e liveEncoding) status(j *job) Packet {
	return e.encode(wire.EventStatus, wire.Status{Room: j.room.id, State: j.state, Since: j.since})
}

func (e liveEncoding) update(u wire.Update) Packet {
	return e.transport.Encode(NamespaceLive, wire.EventUpdate, u.AppendJSON(nil))
}

func (e liveEncoding) party(j *job, p *party) []Packet {
	var ps []Packet
	rows := rowsOf(p.chunks)
	switch {
	case p.since != "":
		parts := encodeParts(wire.Bootstrap{
			Room: j.room.id, From: &p.since, Position: j.update.Position, Now: j.now, Series: p.descriptors,
		}, rows)
		for _, part := range parts {
			ps = append(ps, e.transport.Encode(NamespaceLive, wire.EventBootstrap, wire.AppendReason(part, p.reason)))
		}
		if p.matched != nil {
			ps = append(ps, e.update(wire.Update{Room: j.room.id, Position: j.update.Position, Now: j.now, Matched: p.matched}))
		}
	case len(rows) > 0 || len(p.descriptors) > 0 || p.matched != nil:
		ps = append(ps, e.update(wire.Update{
			Room: j.room.id, Position: j.update.Position, Now: j.now, Blocks: blocksOf(rows), Series: p.descriptors, Matched: p.matched,
		}))
	}
	ps = append(ps, e.gaps(p.gaps)...)
	// A viewer that resumes may have been told another state before.
	if j.state != wire.StateLive || p.since != "" {
		ps = append(ps, e.status(j))
	}
	return ps
}

func (liveEncoding) bootstrap(past pastOfRoom, known identified) ([][]byte, int64) {
	return encodeBootstrap(past, known), 0
}

func (e liveEncoding) stamp(part []byte, reason string, now int64) Packet {
	return e.transport.Encode(NamespaceLive, wire.EventBootstrap, wire.AppendReason(wire.Restamp(part, now), reason))
}

func (e liveEncoding) gaps(gs []wire.Gap) (ps []Packet) {
	for i := range gs {
		ps = append(ps, e.encode(wire.EventGap, gs[i]))
	}
	return ps
}

// maxPart bounds one part of a bootstrap, in bytes, as far as a slice of time
// can be divided.
const maxPart = 128 << 10

// row is the samples of one series, raw (X) or in columns (Step > 0).
type row struct {
	id   int
	x    []int64
	x0   int64
	step int64
	y    []float64
}

// rowsOf gathers chunks by member, ascending, each time once: a late sample may
// stand behind newer ones, and the first value of a time wins.
func rowsOf(chunks []chunk) []row {
	byID := make(map[int][]bus.Sample, len(chunks))
	ids := make([]int, 0, len(chunks))
	for _, c := range chunks {
		have, ok := byID[c.member.id]
		if !ok {
			ids = append(ids, c.member.id)
			byID[c.member.id] = c.samples[:len(c.samples):len(c.samples)] // appending copies
			continue
		}
		byID[c.member.id] = append(have, c.samples...)
	}
	slices.Sort(ids)
	rows := make([]row, len(ids))
	for i, id := range ids {
		rows[i] = rowOf(id, byID[id])
	}
	return rows
}

func rowOf(id int, samples []bus.Sample) row {
	byTime := func(a, b bus.Sample) int { return cmp.Compare(a.T, b.T) }
	if !slices.IsSortedFunc(samples, byTime) {
		samples = slices.Clone(samples)
		slices.SortStableFunc(samples, byTime)
	}
	r := row{id: id, x: make([]int64, 0, len(samples)), y: make([]float64, 0, len(samples))}
	for i, s := range samples {
		if i > 0 && s.T == samples[i-1].T {
			continue
		}
		r.x = append(r.x, s.T)
		r.y = append(r.y, s.V)
	}
	return r
}

// blocksOf puts rows that share times into one block.
func blocksOf(rows []row) []wire.Block {
	blocks := []wire.Block{}
next:
	for _, r := range rows {
		for i := range blocks {
			b := &blocks[i]
			if b.Step == r.step && b.X0 == r.x0 && len(b.Y[0]) == len(r.y) && slices.Equal(b.X, r.x) {
				b.IDs = append(b.IDs, r.id)
				b.Y = append(b.Y, r.y)
				continue next
			}
		}
		blocks = append(blocks, wire.Block{IDs: []int{r.id}, X: r.x, X0: r.x0, Step: r.step, Y: []wire.Values{r.y}})
	}
	return blocks
}

// identified is the outcome of identify.
type identified struct {
	ids         []int // per history; -1: beyond the room's limit
	descriptors []wire.Descriptor
	position    string // as the room's viewers are told it
}

// add adds the descriptors of the series that gaps name: they may have no samples in
// the window. The caller holds recent.Log.Mu.
func (k *identified) add(x *members, gaps []wire.Gap) {
	missing := idsOf(gaps)
	for _, d := range k.descriptors {
		delete(missing, d.ID)
	}
	for _, m := range x.byKey {
		if missing[m.id] {
			k.descriptors = append(k.descriptors, m.descriptor())
		}
	}
	slices.SortFunc(k.descriptors, func(a, b wire.Descriptor) int { return cmp.Compare(a.ID, b.ID) })
}

// historyRows turns what was read into rows; ids as in identified.
func historyRows(hs []store.History, ids []int) []row {
	rows := make([]row, 0, len(hs))
	for i := range hs {
		if ids[i] < 0 {
			continue
		}
		if hs[i].Step > 0 {
			rows = append(rows, row{id: ids[i], x0: hs[i].X0, step: hs[i].Step, y: hs[i].M4})
		} else {
			rows = append(rows, row{id: ids[i], x: hs[i].T, y: hs[i].V})
		}
	}
	return rows
}

// encodeBootstrap encodes what was read, in parts, without the reason.
func encodeBootstrap(m pastOfRoom, known identified) [][]byte {
	return encodeParts(wire.Bootstrap{
		Room: m.room, Position: known.position, Now: m.now, Series: known.descriptors,
	}, historyRows(m.series, known.ids))
}

// encodeParts encodes m with rows, in as many parts as maxPart asks for: all
// carry `more` but the last, which alone has the position; the first alone has
// the series.
func encodeParts(m wire.Bootstrap, rows []row) [][]byte {
	head := m
	head.Blocks = nil
	room := maxPart - len(head.AppendOpen(nil)) - 64 // what `more` and the reason take
	position := m.Position
	pieces := encodeRows(rows, max(room, maxPart/4))
	parts := make([][]byte, len(pieces))
	for i, blocks := range pieces {
		last := i == len(pieces)-1
		m.More, m.Position = !last, ""
		if last {
			m.Position = position
		}
		parts[i] = m.AppendOpenWith(nil, blocks)
		m.Series = nil
	}
	return parts
}

// encodeRows encodes rows as blocks, in ascending slices of time of at most limit
// bytes each, as far as they can be divided.
func encodeRows(rows []row, limit int) [][]byte {
	size, from, to, step := 0, int64(math.MaxInt64), int64(math.MinInt64), int64(1)
	for i := range rows {
		size += 4*len(rows[i].y) + 4*len(rows[i].x)
		lo, hi := rows[i].span()
		from, to = min(from, lo), max(to, hi)
		step = max(step, rows[i].step)
	}
	divisible := to-from > step
	if size <= limit || !divisible { // size is a lower bound: most values are longer
		encoded := wire.AppendBlocks(nil, blocksOf(rows))
		if len(encoded) <= limit || !divisible {
			return [][]byte{encoded}
		}
	}
	// The middle, on the columns' grid: a column is never divided.
	middle := (from + (to-from)/2) / step * step
	if middle <= from {
		middle += step
	}
	var before, after []row
	for _, r := range rows {
		a, b := r.cut(middle)
		if len(a.y) > 0 {
			before = append(before, a)
		}
		if len(b.y) > 0 {
			after = append(after, b)
		}
	}
	return append(encodeRows(before, limit), encodeRows(after, limit)...)
}

// span returns the time of r's first value and the first time after its last.
func (r *row) span() (from, to int64) {
	if r.step > 0 {
		return r.x0, r.x0 + int64(len(r.y)/4)*r.step
	}
	if len(r.x) == 0 {
		return math.MaxInt64, math.MinInt64
	}
	return r.x[0], r.x[len(r.x)-1] + 1
}

// cut divides r at time t, a multiple of its step: times before t, and the others.
func (r row) cut(t int64) (before, after row) {
	before, after = r, r
	if r.step > 0 {
		n := int(min(max((t-r.x0)/r.step, 0), int64(len(r.y)/4)))
		before.y, after.y = r.y[:4*n], r.y[4*n:]
		after.x0 = r.x0 + int64(n)*r.step
		return before, after
	}
	n, _ := slices.BinarySearch(r.x, t)
	before.x, after.x = r.x[:n], r.x[n:]
	before.y, after.y = r.y[:n], r.y[n:]
	return before, after
}
