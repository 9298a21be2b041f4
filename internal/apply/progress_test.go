package apply

import (
	"fmt"
	"testing"

	"stripchart/internal/bus"
)

// entryAt is entry n of an epoch of the log; 0: the log's beginning.
func entryAt(epoch string, n int) bus.Position {
	if n == 0 {
		return bus.Position{}
	}
	return bus.Position{Epoch: epoch, Offset: bus.Offset{Ms: int64(n) * 1000}}
}

// Every way in which an entry can be taken, and every way from one to another.
func TestProgressGoesFromStageToStage(t *testing.T) {
	type step struct {
		do    string // see below
		n     int    // of the place
		epoch string
		found found
		stage stage
		debt  debtState
	}
	const a, b = "a", "b"
	for name, steps := range map[string][]step{
		"a new log": {
			{do: "begin", epoch: a},
			{"arrive", 1, a, ringBegins, fresh, paid}, {do: "advance", n: 1, epoch: a},
			{"arrive", 2, a, goesOn, following, paid},
		},
		"a start": {
			{do: "restore", n: 5, epoch: a}, {do: "begin", n: 3, epoch: a},
			{"arrive", 4, a, goesOn, replaying, paid}, {do: "advance", n: 4, epoch: a, stage: replaying},
			{"arrive", 5, a, goesOn, replaying, paid}, {do: "advance", n: 5, epoch: a, stage: replaying},
			{"arrive", 6, a, goesOn, following, paid},
		},
		"a start that reads everything again": {
			{do: "restore", n: 5, epoch: a}, {do: "begin", epoch: a},
			{"arrive", 4, a, ringBegins, replaying, paid}, {do: "advance", n: 4, epoch: a, stage: replaying},
			{"arrive", 5, a, goesOn, replaying, paid},
		},
		"a log that was trimmed": {
			{do: "restore", n: 5, epoch: a}, {do: "begin", epoch: a},
			{"arrive", 7, a, trimmed, following, paid},
		},
		"a log that has lost its end unseen": {
			{do: "restore", n: 5, epoch: a}, {do: "begin", n: 3, epoch: a},
			{"arrive", 6, a, endLost, fresh, paid},
		},
		"a new epoch": {
			{do: "restore", n: 5, epoch: a}, {do: "end", n: 8, epoch: b}, {do: "begin", epoch: a},
			{"arrive", 4, b, newEpoch, rereading, paid}, {do: "advance", n: 4, epoch: b, stage: rereading},
			{"arrive", 7, b, goesOn, rereading, paid}, {do: "advance", n: 7, epoch: b, stage: rereading},
			{"arrive", 8, b, goesOn, rereading, paid}, {do: "advance", n: 8, epoch: b, stage: rereading},
			{"arrive", 9, b, goesOn, following, paid},
		},
		"a full disk": {
			{do: "begin", epoch: a},
			{"arrive", 1, a, ringBegins, fresh, paid}, {do: "advance", n: 1, epoch: a},
			{"arrive", 2, a, goesOn, following, paid}, {do: "full", stage: following, debt: shownOnly}, {do: "advance", n: 2, epoch: a, stage: following, debt: shownOnly},
			{"arrive", 3, a, goesOn, following, shownOnly}, {do: "full", stage: following, debt: shownOnly}, {do: "advance", n: 3, epoch: a, stage: following, debt: shownOnly},
			{do: "begin", n: 1, epoch: a, stage: following, debt: shownOnly},
			{"arrive", 2, a, goesOn, recordingAgain, shownOnly}, {do: "recorded", n: 2, epoch: a, stage: recordingAgain, debt: shownOnly},
			{"arrive", 3, a, goesOn, recordingAgain, shownOnly}, {do: "recorded", n: 3, epoch: a, stage: recordingAgain},
			{"arrive", 4, a, goesOn, following, paid},
		},
		"a disk that is full again": {
			{do: "begin", epoch: a},
			{"arrive", 1, a, ringBegins, fresh, paid}, {do: "full", debt: shownOnly}, {do: "advance", n: 1, epoch: a, debt: shownOnly},
			{do: "begin", epoch: a, debt: shownOnly},
			{"arrive", 1, a, goesOn, recordingAgain, shownOnly}, {do: "full again", stage: recordingInVain, debt: shownOnly},
			{do: "recorded", n: 1, epoch: a, stage: recordingInVain, debt: shownOnly},
			{"arrive", 2, a, goesOn, following, shownOnly},
		},
		"what was only shown is trimmed": {
			{do: "begin", epoch: a},
			{"arrive", 1, a, ringBegins, fresh, paid}, {do: "advance", n: 1, epoch: a},
			{"arrive", 2, a, goesOn, following, paid}, {do: "full", stage: following, debt: shownOnly}, {do: "advance", n: 3, epoch: a, stage: following, debt: shownOnly},
			{do: "begin", epoch: a, stage: following, debt: shownOnly},
			{"arrive", 3, a, unstoredCut, recordingAgain, shownOnly},
		},
		"damage": {
			{do: "begin", epoch: a},
			{"arrive", 1, a, ringBegins, fresh, paid}, {do: "damaged", debt: lost}, {do: "advance", n: 1, epoch: a, debt: lost},
			{do: "begin", epoch: a, debt: lost},
			{"arrive", 1, a, goesOn, recordingAgain, lost}, {do: "recorded", n: 1, epoch: a, stage: recordingAgain},
		},
		"damage while it is recorded again": {
			{do: "begin", epoch: a},
			{"arrive", 1, a, ringBegins, fresh, paid}, {do: "full", debt: shownOnly}, {do: "advance", n: 1, epoch: a, debt: shownOnly},
			{do: "begin", epoch: a, debt: shownOnly},
			{"arrive", 1, a, goesOn, recordingAgain, shownOnly}, {do: "damaged", stage: recordingInVain, debt: shownAndLost},
			{do: "begin", epoch: a, stage: recordingAgain, debt: shownAndLost},
			{"arrive", 1, a, goesOn, recordingAgain, shownAndLost}, {do: "recorded", n: 1, epoch: a, stage: recordingAgain},
		},
		"a full disk, then a new epoch": {
			{do: "begin", epoch: a},
			{"arrive", 1, a, ringBegins, fresh, paid}, {do: "damaged", debt: lost}, {do: "full", debt: shownAndLost}, {do: "advance", n: 1, epoch: a, debt: shownAndLost},
			{do: "end", n: 2, epoch: b, debt: shownAndLost}, {do: "begin", epoch: b, debt: shownAndLost},
			{"arrive", 1, b, newEpoch, rereading, lost},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var p progress
			end := bus.Position{}
			for i, s := range steps {
				at := entryAt(s.epoch, s.n)
				found := goesOn
				switch s.do {
				case "restore":
					p.restore(at, bus.Position{}, true)
				case "end": // the log's, when the next Tail begins
					end = at
				case "begin":
					p.begin(at, end, 0)
				case "arrive":
					if found = p.arrive(at, 0); found == newEpoch {
						p.newEpoch(before(at))
					}
				case "advance":
					p.advance(at)
				case "full":
					p.onlyShown(7)
				case "full again":
					p.fullAgain()
				case "damaged":
					p.damaged()
				case "recorded":
					p.recordedAgain(at)
				default:
					t.Fatalf("%q is no event", s.do)
				}
				if found != s.found || p.stage != s.stage || p.debt.state != s.debt {
					t.Errorf("step %d, %s: found %d, stage %d, debt %d; want %d, %d, %d", i, fmt.Sprint(s.do, " ", at), found, p.stage, p.debt.state, s.found, s.stage, s.debt)
				}
			}
		})
	}
}

func TestTheLogIsReadAgainFromBeforeWhatTheStoreLacks(t *testing.T) {
	at := entryAt("a", 3)
	for _, c := range []struct {
		state                  debtState
		shown, ofAll           bool
		afterBatch, afterOther bool // isDue
		from                   bus.Position
		newEpoch               debtState
	}{
		{paid, false, false, false, false, bus.Position{}, paid},
		{shownOnly, true, false, true, false, at, paid},
		{lost, false, true, true, true, bus.Position{}, lost},
		{shownAndLost, true, true, true, true, bus.Position{}, lost},
	} {
		d := debt{state: c.state}
		if d.isShown() {
			d.after = at
		}
		if d.isShown() != c.shown || d.isOfAll() != c.ofAll || d.isDue(true) != c.afterBatch || d.isDue(false) != c.afterOther || d.from() != c.from {
			t.Errorf("%d: shown %v, of all %v, due %v and %v, from %v", c.state, d.isShown(), d.isOfAll(), d.isDue(true), d.isDue(false), d.from())
		}
		if d.newEpoch(); d.state != c.newEpoch {
			t.Errorf("%d: after a new epoch %d", c.state, d.state)
		}
	}
}
