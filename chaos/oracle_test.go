package chaos

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"stripchart/internal/socketio/siotest"
	"stripchart/internal/wire"
)

// known is the truth of one series with a sample each 50 ms from 1000 to 1950.
func known() map[string]truth {
	a := &account{sent: map[int64]int64{}, spooled: map[int64]uint64{}}
	for t := int64(1000); t < 2000; t += tick {
		a.sent[t], a.spooled[t] = t, uint64(t)
	}
	a.sent[2000] = 2000 // sent, and killed before it was acknowledged
	return a.truths(1, 1)
}

const one = `{__name__="chaos", k="0", source="1"}`

// full holds everything that known acknowledges.
func full() *holding {
	h := newHolding("h")
	for t := int64(1000); t < 2000; t += tick {
		h.put(one, t, valueAt(1, 0, t))
	}
	return h
}

// The oracle itself must be able to fail, and to pass.
func TestTheOracleFindsWhatIsBroken(t *testing.T) {
	between := gap{one, 1450, 1550, "log_lost"}
	for name, c := range map[string]struct {
		spoil   func(h *holding)
		allowed []allowance
		want    verdict
	}{
		"nothing":                         {func(*holding) {}, nil, verdict{Acknowledged: 20}},
		"a lost sample":                   {func(h *holding) { delete(h.samples[one], 1500) }, nil, verdict{Acknowledged: 20, Lost: 1}},
		"a series that is not there":      {func(h *holding) { clear(h.samples) }, nil, verdict{Acknowledged: 20, Lost: 20}},
		"a lost sample in a declared gap": {func(h *holding) { delete(h.samples[one], 1500); h.gaps[between] = true }, []allowance{{reason: "log_lost", from: 1400, to: 1600}}, verdict{Acknowledged: 20, Gapped: 1, Gaps: 1}},
		"a gap of every series":           {func(h *holding) { delete(h.samples[one], 1500); h.gaps[gap{"", 1450, 1550, "log_lost"}] = true }, []allowance{{reason: "log_lost", from: 1400, to: 1600}}, verdict{Acknowledged: 20, Gapped: 1, Gaps: 1}},
		"a lost sample at a gap's edge":   {func(h *holding) { delete(h.samples[one], 1450); h.gaps[between] = true }, []allowance{{reason: "log_lost", from: 1400, to: 1600}}, verdict{Acknowledged: 20, Lost: 1, Gaps: 1}},
		"a lost sample in another's gap":  {func(h *holding) { delete(h.samples[one], 1500); h.gaps[gap{"x", 1450, 1550, "log_lost"}] = true }, []allowance{{reason: "log_lost", from: 1400, to: 1600}}, verdict{Acknowledged: 20, Lost: 1, Gaps: 1}},
		"a gap that no fault explains":    {func(h *holding) { h.gaps[between] = true }, []allowance{{reason: "source_dropped", from: 1400, to: 1600}}, verdict{Acknowledged: 20, Gaps: 1, Undue: 1}},
		"a gap somewhere else":            {func(h *holding) { h.gaps[between] = true }, []allowance{{reason: "log_lost", from: 1500, to: 1600}}, verdict{Acknowledged: 20, Gaps: 1, Undue: 1}},
		"an unacknowledged sample":        {func(h *holding) { h.put(one, 2000, valueAt(1, 0, 2000)) }, nil, verdict{Acknowledged: 20}},
		"a sample that nobody sent":       {func(h *holding) { h.put(one, 2050, valueAt(1, 0, 2050)) }, nil, verdict{Acknowledged: 20, Foreign: 1}},
		"a series that nobody sent":       {func(h *holding) { h.put("x", 1000, 1) }, nil, verdict{Acknowledged: 20, Foreign: 1}},
		"another series' value":           {func(h *holding) { h.samples[one][1500] = valueAt(1, 1, 1500) }, nil, verdict{Acknowledged: 20, Wrong: 1}},
		"the value of the sample before":  {func(h *holding) { h.samples[one][1500] = valueAt(1, 0, 1450) }, nil, verdict{Acknowledged: 20, Wrong: 1}},
		"a second value":                  {func(h *holding) { h.put(one, 1500, 7) }, nil, verdict{Acknowledged: 20, Doubled: 1}},
		"the same sample again":           {func(h *holding) { h.put(one, 1500, valueAt(1, 0, 1500)) }, nil, verdict{Acknowledged: 20}},
		"a sample twice in one message":   {func(h *holding) { take(t, h, []int64{1500, 1500}) }, nil, verdict{Acknowledged: 20, Doubled: 1}},
		"times that go back":              {func(h *holding) { take(t, h, []int64{1500, 1450}) }, nil, verdict{Acknowledged: 20, Order: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			h := full()
			c.spoil(h)
			got := judge(h, known(), 0, 3000, c.allowed)
			notes := got.Notes
			got.Notes = nil
			if !sameVerdict(got, c.want) {
				t.Errorf("got %+v, want %+v: %q", got, c.want, notes)
			}
			if got.faulty() != (len(notes) > 0) {
				t.Errorf("faulty is %v, and the notes are %q", got.faulty(), notes)
			}
		})
	}
}

func sameVerdict(v, w verdict) bool {
	v.Notes, w.Notes = nil, nil
	return v.Acknowledged == w.Acknowledged && v.Lost == w.Lost && v.Doubled == w.Doubled && v.Order == w.Order && v.Wrong == w.Wrong &&
		v.Foreign == w.Foreign && v.Undue == w.Undue && v.Gapped == w.Gapped && v.Gaps == w.Gaps
}

func take(t *testing.T, h *holding, times []int64) {
	t.Helper()
	b := wire.Block{IDs: []int{0}, X: times, Y: []wire.Values{nil}}
	for _, x := range times {
		b.Y[0] = append(b.Y[0], valueAt(1, 0, x))
	}
	if _, _, err := h.blocks([]wire.Block{b}, map[int]string{0: one}, nil); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyTheWatchedTimesAreJudged(t *testing.T) {
	h := full()
	delete(h.samples[one], 1000)
	delete(h.samples[one], 1950)
	if v := judge(h, known(), 1050, 1900, nil); v.faulty() || v.Acknowledged != 18 {
		t.Errorf("got %v", &v)
	}
}

func TestSamplesOfAWrongClockMayBeRefused(t *testing.T) {
	a := &account{sent: map[int64]int64{500_000: 400_000, 450_000: 400_000}, spooled: map[int64]uint64{500_000: 1, 450_000: 1}}
	v := judge(newHolding("h"), a.truths(1, 1), 0, 1<<40, nil)
	if v.Lost != 1 || v.Acknowledged != 1 {
		t.Errorf("100 s ahead may be refused, 50 s may not: got %v", &v)
	}
}

func TestHoldersThatDisagreeAreFound(t *testing.T) {
	a, b := full(), full()
	b.who = "b"
	delete(a.samples[one], 1100)
	b.samples[one][1200] = 1
	series := agree(a, b)
	if v := judge(a, series, 0, 3000, nil); v.Lost != 1 || v.Wrong != 0 {
		t.Errorf("the first lacks one: got %v", &v)
	}
	if v := judge(b, series, 0, 3000, nil); v.Lost != 0 || v.Wrong != 1 {
		t.Errorf("the second has another value: got %v", &v)
	}
}

// A viewer that is sent a whole history, an update and what it has missed.
func TestTheViewerMergesAsThePageDoes(t *testing.T) {
	v := newViewer("v", "chaos", 0)
	r := room{viewer: v, answer: 1, names: map[int]string{}}
	for _, p := range []siotest.Packet{
		{Event: "hello", Arg: []byte(`{"protocol":1}`)},
		{ID: 1, Arg: []byte(`{"ok":true,"room":"r-1"}`)},
		{Event: "bootstrap", Arg: []byte(`{"room":"r-1","from":null,"now":1,"series":[{"id":4,"labels":{"__name__":"chaos"},"interval_ms":0}],"blocks":[{"ids":[4],"x":[1000,1050],"y":[[1,2]]}],"more":true,"reason":"join"}`)},
		{Event: "bootstrap", Arg: []byte(`{"room":"r-1","from":null,"position":"e-1-0","now":1,"blocks":[{"ids":[4],"x":[1100],"y":[[3]]}],"reason":"join"}`)},
		{Event: "update", Arg: []byte(`{"room":"r-1","position":"e-2-0","now":2,"blocks":[{"ids":[4],"x":[1100,1150],"y":[[3,4]]}]}`)},
		{Event: "gap", Arg: []byte(`{"room":"r-1","ids":[4],"from":1150,"to":1250,"reason":"log_lost"}`)},
	} {
		if err := r.take(p); err != nil {
			t.Fatal(err)
		}
	}
	const name = `{__name__="chaos"}`
	if len(v.held.samples[name]) != 4 || v.held.repeats != 1 || len(v.held.changed)+len(v.held.behind)+v.held.doubled+v.held.order != 0 || v.position != "e-2-0" || !v.held.gaps[gap{name, 1150, 1250, "log_lost"}] {
		t.Errorf("holds %+v at %q", v.held, v.position)
	}
	// Another connection: what came in between is added, with other ids; then a second value, and a time that goes back.
	r = room{viewer: v, answer: 1, id: "r-1", names: map[int]string{}}
	for _, arg := range []string{
		`{"room":"r-1","from":"e-2-0","position":"e-3-0","now":3,"series":[{"id":0,"labels":{"__name__":"chaos"},"interval_ms":50}],"blocks":[{"ids":[0],"x":[1150,1300],"y":[[5,6]]}],"reason":"resume"}`,
		`{"room":"r-1","from":"e-2-0","position":"e-3-0","now":3,"blocks":[{"ids":[0],"x":[1250],"y":[[6]]}],"reason":"resume"}`,
	} {
		if err := r.take(siotest.Packet{Event: "bootstrap", Arg: []byte(arg)}); err != nil {
			t.Fatal(err)
		}
	}
	if len(v.held.changed) != 1 || len(v.held.behind) != 1 || len(v.held.samples[name]) != 6 || v.position != "e-3-0" {
		t.Errorf("holds %+v at %q: %q", v.held, v.position, v.held.notes)
	}
	// Everything anew replaces, and until it is complete there is no position.
	if err := r.take(siotest.Packet{Event: "bootstrap", Arg: []byte(`{"room":"r-1","from":null,"now":4,"series":[],"blocks":[],"more":true,"reason":"lost"}`)}); err != nil {
		t.Fatal(err)
	}
	if len(v.held.samples) != 0 || v.position != "" || v.anew != 1 {
		t.Errorf("holds %+v at %q", v.held, v.position)
	}
	for name, p := range map[string]siotest.Packet{
		"an update amidst a bootstrap": {Event: "update", Arg: []byte(`{"room":"r-1","position":"e-5-0","now":5,"blocks":[]}`)},
		"another room":                 {Event: "bootstrap", Arg: []byte(`{"room":"r-2","from":null,"position":"","now":4,"blocks":[],"reason":"join"}`)},
		"no JSON":                      {Event: "bootstrap", Arg: []byte(`{`)},
		"an unknown series":            {Event: "gap", Arg: []byte(`{"room":"r-1","ids":[9],"from":1,"to":2,"reason":"log_lost"}`)},
	} {
		if r.take(p) == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestTheJournalSaysWhatWasAcknowledged(t *testing.T) {
	path := t.TempDir() + "/journal"
	j, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	defer j.f.Close()
	for _, line := range [][]int64{{'t', 100, 0, 101}, {'s', 100, 1}, {'t', 700, 200, 701}, {'s', 700, 2}, {'t', 800, 0, 801}, {'a', 1, 2}} {
		if err := j.line(byte(line[0]), line[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := j.f.WriteString("t 90"); err != nil { // cut short
		t.Fatal(err)
	}
	a, err := readJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	of := a.truths(1, 2)[seriesName(seriesOf(1, 1))]
	if !slices.Equal(of.acknowledged, []int64{100, 200, 700}) || !of.possible(800) || of.possible(90) || !a.bus[2] || a.bus[3] {
		t.Errorf("read %+v", a)
	}
}

func TestWhatFillsADeclaredGapMayComeLate(t *testing.T) {
	for _, declared := range []bool{false, true} {
		v := newViewer("v", everySource, window)
		if declared {
			v.held.told(gap{one, 1450, 1550, logTrimmed})
		}
		fresh := (&room{viewer: v}).fresh(true, "update")
		for _, at := range []int64{1450, 1600, 1500} {
			fresh(one, at)
		}
		if late := len(v.held.behind) > 0; late == declared {
			t.Errorf("with a declared gap (%v) out of order is %v", declared, late)
		}
	}
}

// The store shows late samples to who reads a history meanwhile, and what came into the log
// before them follows.
func TestAHistoryMayHoldALateSampleThatFollows(t *testing.T) {
	for _, late := range []bool{false, true} {
		v := newViewer("v", everySource, window)
		r := room{viewer: v}
		at := int64(10 * tick)
		if late {
			at += tick / 2
		}
		r.fresh(false, "bootstrap")(one, at+7*tick)
		r.fresh(true, "update")(one, at)
		if wrong := len(v.held.behind) > 0; wrong == late {
			t.Errorf("late (%v): out of order is %v", late, wrong)
		}
	}
}

// A clock that is wrong by more than the window: a whole history does not hold its
// samples, and their source sends them again.
func TestWhatLiesBeforeTheWindowMayComeAgain(t *testing.T) {
	v := newViewer("v", "chaos", 5*time.Second)
	r := room{viewer: v, answer: 1, id: "r-1", names: map[int]string{}}
	for _, step := range []struct {
		event, arg string
		order      int
	}{
		{"bootstrap", `{"room":"r-1","from":null,"position":"e-1-0","now":9000,"series":[{"id":0,"labels":{"__name__":"chaos"},"interval_ms":50}],"blocks":[],"reason":"join"}`, 0},
		{"update", `{"room":"r-1","position":"e-2-0","now":9000,"blocks":[{"ids":[0],"x":[1001,1051],"y":[[1,2]]}]}`, 0},
		{"bootstrap", `{"room":"r-1","from":null,"position":"f-1-0","now":9001,"blocks":[{"ids":[0],"x":[8000],"y":[[3]]}],"reason":"lost"}`, 0},
		{"update", `{"room":"r-1","position":"f-2-0","now":9001,"blocks":[{"ids":[0],"x":[1001,8050],"y":[[1,4]]}]}`, 0},
		// The window begins between the two: one was in the history, the other was lost from it.
		{"bootstrap", `{"room":"r-1","from":null,"position":"g-1-0","now":9002,"blocks":[{"ids":[0],"x":[8050],"y":[[4]]}],"reason":"lost"}`, 0},
		{"update", `{"room":"r-1","position":"g-2-0","now":9002,"blocks":[{"ids":[0],"x":[8000],"y":[[3]]}]}`, 1},
	} {
		if err := r.take(siotest.Packet{Event: step.event, Arg: []byte(step.arg)}); err != nil {
			t.Fatal(err)
		}
		if len(v.held.behind) != step.order {
			t.Fatalf("after %s: %d out of order: %q", step.arg, len(v.held.behind), v.held.notes)
		}
	}
}

// A server that has lost a first value takes the second for it, and declares the gap up to 15 s
// later. The check that waits for the gap must not have judged the value for good before.
func TestASecondValueIsJudgedByTheGapThatComesLater(t *testing.T) {
	v := newViewer("v", everySource, window)
	at := time.Now().UnixMilli() - 5000
	v.held.put(one, at, 1)
	v.held.put(one, at, 2)
	known := map[string]truth{one: {
		possible: func(int64) bool { return true }, published: func(t int64) int64 { return t },
		value:  func(int64) (float64, bool) { return 1, true },
		second: func(_ int64, v float64) bool { return v == 2 },
	}}
	look := func() int {
		found := v.judge(known, 0, 1<<50, nil)
		return found.Doubled
	}
	if n := look(); n != 1 {
		t.Errorf("%d doubled before the gap is told", n)
	}
	v.held.gaps[gap{one, at - 10, at + 10, "log_trimmed"}] = false
	if n := look(); n != 0 {
		t.Errorf("%d doubled in the gap", n)
	}
	v.forget()
	clear(v.held.gaps)
	if n := look(); n != 0 {
		t.Errorf("%d are counted once more with the next fault", n)
	}
}

func TestTablesOfSeveralRunsAddUp(t *testing.T) {
	row := verdict{Acknowledged: 10, Lost: 1, Doubled: 2, Order: 3, Wrong: 4, Gaps: 5, Undue: 6, Gapped: 7}
	var one, two, both Report
	one.add("`a` (b)", row, 2*time.Second, time.Second)
	two.add("`a` (b)", row, time.Second, 3*time.Second)
	two.add("c", row, 0, 0)
	both.add("`a` (b)", row, 2*time.Second, time.Second)
	both.add("`a` (b)", row, time.Second, 3*time.Second)
	both.add("c", row, 0, 0)
	if err := one.Add(two.Markdown()); err != nil {
		t.Fatal(err)
	}
	if got, want := one.Markdown(), both.Markdown(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// A viewer that joined while a server recorded again what came while its disk was full may get what is older behind
// what is newer. One that joined before may not.
func TestOnlyAHistoryOfARecordingServerMayBeBehind(t *testing.T) {
	for name, began := range map[string]int64{"before": 900, "meanwhile": 1100} {
		h := newHolding("h")
		h.samples[one] = map[int64]float64{}
		h.behind = append(h.behind, behind{series: one, t: 1000, newest: 1050, began: began})
		v := judge(h, nil, 0, 3000, []allowance{{reason: recordedAgain, from: 1000, to: 1200}})
		if excused := v.Order == 0; excused != (name == "meanwhile") {
			t.Errorf("%s: %d out of order", name, v.Order)
		}
	}
}

// A source whose clock is wrong writes its first tick at a full minute. Its series that lag have that tick in the
// minute before, and the histories are asked for it.
func TestHistoriesAreAskedForTheMinuteOfALaggingSeries(t *testing.T) {
	now := time.Now()
	minute := now.Add(-time.Hour).UnixMilli() / slice * slice
	path := filepath.Join(t.TempDir(), "journal")
	j, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	defer j.f.Close()
	if err := j.attempt(minute, 0, now); err != nil {
		t.Fatal(err)
	}
	r := &rig{began: now, sources: []*sourceProcess{{number: 2, journal: path}}}
	_, slices, err := r.truths(0, now.UnixMilli())
	if err != nil {
		t.Fatal(err)
	}
	asked := map[int64]bool{}
	for _, from := range slices {
		asked[from] = true
	}
	if !asked[minute] || !asked[minute-slice] {
		t.Errorf("asked for %v, want the minutes of %d and before", slices, minute)
	}
}
