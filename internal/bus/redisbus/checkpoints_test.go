package redisbus

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"stripchart/internal/bus"
)

// A reader that has read the log before does not read the rest of it from its beginning.
func TestHowMuchOfTheLogIsLeftIsKnown(t *testing.T) {
	b := open(t, Options{URL: shared.URL, Stream: stream()})
	c := shared.Client(t)
	r := tail(t, b, bus.Position{})
	publish(t, b, sequence("a", 1, 3)...)
	dump, err := c.Dump(t.Context(), b.logKey).Result()
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(checkpointEvery * time.Millisecond)
	publish(t, b, sequence("a", 4, 5)...)
	passed := r.wait(t, 5)
	for again := range uint64(2) { // the second time, all entries that are left were read in an earlier epoch
		time.Sleep(2 * time.Millisecond)
		if err := c.RestoreReplace(t.Context(), b.logKey, 0, dump).Err(); err != nil {
			t.Fatal(err)
		}
		publish(t, b, one("a", 6+again))
		since := r.mustLose(t)
		// Up to the first of the three entries that are left, or a later one if they took a second.
		i := slices.IndexFunc(passed[:3], func(d bus.Delivery) bool { return d.Position.Offset == since.Offset })
		if i < 0 || since.Epoch != end(t, b).Epoch {
			t.Fatalf("the log is said to be the same up to %v, of %v", since, passed[:3])
		}
		r = tail(t, b, since)
		r.wait(t, 3-i)
		if got, want := r.seqs(), "1 2 3 "[2*(i+1):]+fmt.Sprint(6+again); got != want {
			t.Errorf("read %s, want %s", got, want)
		}
	}
	// Another reader may have found a loss that does not concern this one.
	at := r.got[len(r.got)-1].Position
	if err := c.Del(t.Context(), b.epochKey).Err(); err != nil {
		t.Fatal(err)
	}
	since := r.mustLose(t)
	if since.Offset != at.Offset || since.Epoch == at.Epoch {
		t.Errorf("the log is said to be the same up to %v, want %v in another epoch", since, at)
	}
	// A new reader does not know the former log.
	if since := tail(t, open(t, Options{URL: shared.URL, Stream: b.logKey[1:strings.Index(b.logKey, "}")]}), at).mustLose(t); !since.IsZero() {
		t.Errorf("a new reader goes on after %v", since)
	}
	// Nothing is left of a log that was deleted.
	r = tail(t, b, since)
	if err := c.Del(t.Context(), b.logKey).Err(); err != nil {
		t.Fatal(err)
	}
	publish(t, b, one("a", 8))
	if since := r.mustLose(t); !since.IsZero() {
		t.Errorf("a deleted log is said to be the same up to %v", since)
	}
}

// The log of another master may still have the name of an epoch that is over. It must get
// another: pages know positions of that epoch that this log does not have.
func TestAnEpochThatIsOverDoesNotComeBack(t *testing.T) {
	for _, fromBeginning := range []bool{false, true} {
		t.Run(fmt.Sprint("from the beginning: ", fromBeginning), func(t *testing.T) {
			b := open(t, Options{URL: shared.URL, Stream: stream()})
			c := shared.Client(t)
			publish(t, b, one("a", 1))
			r := tail(t, b, bus.Position{})
			p := r.wait(t, 1)[0].Position
			other, err := c.Dump(t.Context(), b.logKey).Result()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Del(t.Context(), b.epochKey).Err(); err != nil {
				t.Fatal(err)
			}
			since := r.mustLose(t)
			if err := errors.Join(c.RestoreReplace(t.Context(), b.logKey, 0, other).Err(), c.Set(t.Context(), b.epochKey, p.Epoch, 0).Err()); err != nil {
				t.Fatal(err)
			}
			if fromBeginning {
				since = bus.Position{}
			} else if since = tail(t, b, since).mustLose(t); since.Offset != p.Offset {
				t.Errorf("the log is said to be the same up to %v", since)
			}
			publish(t, b, one("a", 2))
			got := read(t, b, since, 1)
			if e := got[0].Position.Epoch; e == p.Epoch || e != end(t, b).Epoch {
				t.Errorf("read in epoch %s, which ended as %s", e, p.Epoch)
			}
		})
	}
}

func TestCheckpointsAreBoundedAndAskedForTheLessOftenTheOlderTheyAre(t *testing.T) {
	var x checkpoints
	const last = 10_000
	for i := range int64(last) {
		for n := range uint64(3) { // within a second
			x.pass(bus.Position{Epoch: "e", Offset: bus.Offset{Ms: i * checkpointEvery, Seq: n}}, "fingerprint")
		}
	}
	if n := len(x.passed); n != maxCheckpoints {
		t.Errorf("%d checkpoints are kept", n)
	}
	at := bus.Position{Epoch: "e", Offset: bus.Offset{Ms: (last - 3) * checkpointEvery, Seq: 1}}
	steps := x.before(at)
	if n := len(steps); n > 12 || steps[n-1] != x.passed[0] {
		t.Errorf("%d checkpoints are asked for, the last of them %v", n, steps[n-1].at)
	}
	for i, s := range steps {
		if at.Compare(s.at) < 0 || i > 0 && steps[i-1].at.Compare(s.at) <= 0 {
			t.Errorf("checkpoint %d is %v", i, s.at)
		}
	}
	if n := len(x.before(bus.Position{Epoch: "f", Offset: at.Offset})); n > 0 {
		t.Errorf("%d checkpoints of another epoch", n)
	}
	x.rename("e", bus.Position{Epoch: "f", Offset: at.Offset})
	x.pass(at, "fingerprint") // by a Tail that is still in the former epoch
	if steps := x.before(at); len(steps) != 1 || steps[0].at != at.Offset {
		t.Errorf("after a Tail of an epoch that is over: %v", steps)
	}
}
