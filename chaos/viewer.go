package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"stripchart/internal/socketio/siotest"
	"stripchart/internal/wire"
)

// viewer behaves as a chart of the page does: it stays in one room, comes back after
// every loss of its connection with the position that it has reached, and merges what it
// is sent.
type viewer struct {
	name    string
	query   string
	crowded bool // the room has more series than are sent

	mu       sync.Mutex // guards what follows
	window   time.Duration
	points   int
	sent     map[string]bool // the series that the room sends, as far as it is told
	held     *holding
	judged   findings // what of held the check under way has counted
	position string
	notes    []string // what the server said that is not a sample: joins, states, refusals
	broken   error    // the server broke the protocol
	joins    int
	resumes  int              // bootstraps that continued
	anew     int              // bootstraps that replaced, but for the first
	newest   map[strand]int64 // time of the last sample that came in the order of the log
	latest   map[string]int64 // time of the sample that came last, by series
	lastNew  time.Time        // when a sample came that it did not have
	wait     time.Duration    // the longest time without one since resetWait
	now      int64            // of the last message, the server's clock
	from     int64            // when the window of the last whole history began, by that clock
	since    int64            // when it began to watch, by the first server's clock
	began    int64            // when the last whole history came, by this clock
}

// points is what most viewers ask for: raw samples, always. It is the server's largest.
const points = 20_000

func newViewer(name, query string, window time.Duration) *viewer {
	return &viewer{name: name, query: query, window: window, points: points, sent: map[string]bool{},
		held: newHolding(name), newest: map[strand]int64{}, latest: map[string]int64{}, lastNew: time.Now()}
}

// labels returns the part of its series' names that its query asks for.
func (v *viewer) labels() string {
	_, inside, _ := strings.Cut(strings.TrimSuffix(v.query, "}"), "{")
	return inside
}

func (v *viewer) addNote(format string, args ...any) {
	if len(v.notes) >= 400 {
		v.notes = v.notes[200:]
	}
	v.notes = append(v.notes, fmt.Sprintf(format, args...))
}

// room is a viewer's stay in its room on one connection.
type room struct {
	*viewer
	answer  int            // the number of the subscription
	id      string         // "" until it was granted
	names   map[int]string // of series, by the ids of this server
	parts   int            // of the bootstrap that is under way
	reached int64          // newest time in the parts so far
	told    string         // what the parts continue from
	joined  bool
	away    bool           // it has left, to come back
	values  map[string]int // of each series in the bootstrap that is under way
}

// take handles one packet. The caller holds viewer.mu. An error that is no
// *wire.Error means that the server broke the protocol.
func (r *room) take(p siotest.Packet) error {
	switch p.Event {
	case "":
		if p.ID != r.answer {
			return nil
		}
		if err := granted(p.Arg); err != nil {
			return err
		}
		var a wire.Subscribed
		if err := json.Unmarshal(p.Arg, &a); err != nil {
			return err
		}
		r.id = a.Room
	case wire.EventBootstrap:
		var m wire.Bootstrap
		if err := json.Unmarshal(p.Arg, &m); err != nil {
			return fmt.Errorf("bootstrap %.200s: %w", p.Arg, err)
		}
		return r.bootstrap(&m)
	case wire.EventUpdate:
		var m wire.Update
		if err := json.Unmarshal(p.Arg, &m); err != nil {
			return fmt.Errorf("update %.200s: %w", p.Arg, err)
		}
		return r.update(&m)
	case wire.EventGap:
		var m wire.Gap
		if err := json.Unmarshal(p.Arg, &m); err != nil {
			return fmt.Errorf("gap %.200s: %w", p.Arg, err)
		}
		return r.gap(&m)
	case wire.EventStatus:
		r.addNote("%s %s", time.Now().Format("15:04:05.000"), p.Arg)
	}
	return nil
}

// bootstrap takes in a part of one.
func (r *room) bootstrap(m *wire.Bootstrap) error {
	if r.id == "" || m.Room != r.id {
		return fmt.Errorf("bootstrap of room %q before the answer, or of another room than %q", m.Room, r.id)
	}
	from := "null"
	if m.From != nil {
		from = *m.From
	}
	if r.parts == 0 {
		r.told, r.reached, r.values = from, -1<<62, map[string]int{}
		clear(r.sent)
		r.learn(m.Series)
		r.addNote("%s bootstrap %s from %s (had %q)", time.Now().Format("15:04:05.000"), m.Reason, from, r.position)
		if m.From == nil {
			// Until the last part has come there is nothing to resume from.
			// What lies before its window may come again, and late.
			r.held.clear()
			clear(r.newest)
			r.from, r.began = m.Now-r.window.Milliseconds(), time.Now().UnixMilli()
			if r.position != "" || r.anew > 0 {
				r.anew++
			}
			r.position = ""
			if r.since == 0 {
				r.since = m.Now
			}
		} else if r.resumes++; r.position == "" {
			return fmt.Errorf("bootstrap continues from %q, but nothing was asked for", from)
		}
	} else if from != r.told {
		return fmt.Errorf("parts of one bootstrap continue from %q and from %q", r.told, from)
	}
	r.parts++
	first, last, err := r.held.blocks(m.Blocks, r.names, r.fresh(m.From != nil, fmt.Sprintf("bootstrap %s from %s", m.Reason, from)))
	if err != nil {
		return err
	}
	for _, b := range m.Blocks {
		for i, id := range b.IDs {
			if r.values[r.names[id]] += len(b.Y[i]); r.values[r.names[id]] > r.points {
				return fmt.Errorf("a bootstrap (%s) has %d values of %s, and %d points were asked for", m.Reason, r.values[r.names[id]], r.names[id], r.points)
			}
		}
	}
	// Parts of a whole history are slices of time. A column begins before its slice.
	if m.From == nil && first <= r.reached && r.points == points {
		r.held.order++
		r.held.note("part %d of a bootstrap goes back from %d to %d", r.parts, r.reached, first)
	}
	r.reached = max(r.reached, last)
	r.now = m.Now
	if !m.More {
		if m.Position == "" && r.told != "null" {
			return errors.New("the last part of a bootstrap has no position")
		}
		r.position, r.parts, r.joined = m.Position, 0, true
	}
	return nil
}

func (r *room) update(m *wire.Update) error {
	if m.Room != r.id {
		return fmt.Errorf("update of room %q, not of %q", m.Room, r.id)
	}
	if !r.joined || r.parts > 0 {
		return errors.New("update before the bootstrap, or amidst it")
	}
	r.learn(m.Series)
	if _, _, err := r.held.blocks(m.Blocks, r.names, r.fresh(true, "update "+m.Position)); err != nil {
		return err
	}
	for _, id := range m.Gone {
		name := r.names[id]
		delete(r.sent, name)
		if r.crowded {
			delete(r.held.samples, name)
			delete(r.latest, name)
		}
	}
	r.position, r.now = m.Position, m.Now
	return nil
}

func (r *room) gap(m *wire.Gap) error {
	if m.Room != r.id {
		return fmt.Errorf("gap of room %q, not of %q", m.Room, r.id)
	}
	r.addNote("%s gap %d to %d of %d series: %s", time.Now().Format("15:04:05.000"), m.From, m.To, len(m.IDs), m.Reason)
	if len(m.IDs) == 0 {
		r.held.told(gap{"", m.From, m.To, m.Reason})
	}
	for _, id := range m.IDs {
		name, known := r.names[id]
		if !known {
			return fmt.Errorf("gap of an unknown series with id %d", id)
		}
		r.held.told(gap{name, m.From, m.To, m.Reason})
	}
	return nil
}

func (r *room) learn(series []wire.Descriptor) {
	for _, d := range series {
		r.names[d.ID] = seriesName(d.Labels)
		r.sent[r.names[d.ID]] = true
	}
}

// fresh returns a function that counts new samples. It also checks the order of the samples that come
// in the order of the log: the samples of one strand of a source must ascend. Samples in a declared gap
// are exempt, because they come late when their source sends the last seconds again for another reason.
func (r *room) fresh(inLogOrder bool, in string) func(series string, t int64) {
	now := time.Now()
	told := ""
	r.wait = max(r.wait, now.Sub(r.lastNew))
	return func(series string, t int64) {
		r.lastNew = now
		r.latest[series] = t
		of := strandOf(series, t)
		// A sample that the bootstrap lacks, or has only in a column, counts as new when it comes
		// again.
		old := t < r.from || r.held.covers(series, t)
		if inLogOrder && t < r.newest[of] && !old && !r.held.declared(series, t) {
			if told == "" {
				told = fmt.Sprintf("%s %s; it was told\n\t%s", now.Format("15:04:05.000"), in, strings.Join(r.notes[max(0, len(r.notes)-12):], "\n\t"))
			}
			r.held.behind = append(r.held.behind, behind{series, t, r.newest[of], r.began, told})
		}
		// A history may hold late samples that follow again, before what came between.
		if inLogOrder || !isLate(t) {
			r.newest[of] = max(r.newest[of], t)
		}
	}
}

// pause returns how long the viewer was without a new sample at most since the
// last call.
func (v *viewer) pause() time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	d := max(v.wait, time.Since(v.lastNew))
	v.wait = 0
	return d
}

// live reports whether the newest sample of each series, plus the lag of the series in ms, is later
// than t. slowest is the smallest of these sums. Without series, live looks at all series that the
// viewer knows, without a lag.
func (v *viewer) live(series map[string]int64, t int64) (live bool, slowest int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	slowest = 1 << 62
	if len(series) == 0 {
		for _, last := range v.latest {
			slowest = min(slowest, last)
		}
		return len(v.latest) > 0 && slowest > t, slowest
	}
	for s, lag := range series {
		slowest = min(slowest, v.latest[s]+lag)
	}
	return slowest > t, slowest
}

// diary returns what the viewer was told, for a failure's report.
func (v *viewer) diary() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return strings.Join(v.notes, "\n")
}
