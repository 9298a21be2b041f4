package redisbus

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/bus/redisbus/redistest"
	"stripchart/internal/testkit"
)

// An operator, or this program itself, took the oldest out: a gap, and the same log.
func TestATrimmedPositionIsLostInTheSameEpoch(t *testing.T) {
	b := open(t, Options{URL: shared.URL, Stream: stream()})
	publish(t, b, sequence("a", 1, 20)...)
	got := read(t, b, bus.Position{}, 20)
	if err := shared.Client(t).XTrimMaxLen(t.Context(), b.logKey, 5).Err(); err != nil {
		t.Fatal(err)
	}
	mustLose(t, b, got[3].Position)
	if e := end(t, b); e != got[19].Position {
		t.Errorf("End is %v, want %v: the log did not lose its end", e, got[19].Position)
	}
	if rest := read(t, b, got[15].Position, 1); rest[0].Batch.Seq != 17 {
		t.Errorf("a position that is retained is not read from")
	}
}

// XREAD from a position behind the end of a log returns nothing, until Redis's
// clock has passed it, and then goes on as if nothing had been lost.
func TestALogRestoredFromAnOlderDumpIsANewEpoch(t *testing.T) {
	for _, more := range []uint64{0, 3} {
		t.Run(fmt.Sprint(more, " entries since"), func(t *testing.T) {
			b := open(t, Options{URL: shared.URL, Stream: stream()})
			c := shared.Client(t)
			publish(t, b, sequence("a", 1, 5)...)
			old := end(t, b)
			dump, err := c.Dump(t.Context(), b.logKey).Result()
			if err != nil {
				t.Fatal(err)
			}
			publish(t, b, sequence("a", 6, 9)...)
			p := end(t, b)
			time.Sleep(2 * time.Millisecond) // so that what follows has later IDs
			if err := c.RestoreReplace(t.Context(), b.logKey, 0, dump).Err(); err != nil {
				t.Fatal(err)
			}
			publish(t, b, sequence("a", 10, 9+more)...)
			mustLose(t, b, p)
			if e := end(t, b); e.Epoch == p.Epoch {
				t.Error("the epoch is still the same")
			}
			mustLose(t, b, old) // its entry is there, but it is not of this epoch
			read(t, b, bus.Position{}, 5+int(more))
		})
	}
}

// Two masters, in the moment of a failover, give one ID to two entries. A reader that
// comes from the one must not go on behind the other's.
func TestAnotherEntryWithTheSameIDIsANewEpoch(t *testing.T) {
	b := open(t, Options{URL: shared.URL, Stream: stream()})
	c := shared.Client(t)
	publish(t, b, sequence("a", 1, 2)...)
	end(t, b) // a server has been here
	common, err := c.Dump(t.Context(), b.logKey).Result()
	if err != nil {
		t.Fatal(err)
	}
	r := tail(t, b, bus.Position{})
	r.wait(t, 2)
	time.Sleep(2 * time.Millisecond)
	publish(t, b, one("a", 3))
	p := r.wait(t, 3)[2].Position
	// The other master's: #1 of b before that ID, and #2 of b with it.
	other := c.TxPipeline()
	other.RestoreReplace(t.Context(), b.logKey, 0, common)
	for i, id := range []bus.Offset{{Ms: p.Ms - 1, Seq: 99}, p.Offset} {
		command := b.item(one("b", uint64(i)+1), 0).command
		command[2] = formatID(id)
		other.Do(t.Context(), command...)
	}
	if _, err := other.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	since := r.mustLose(t)
	e := end(t, b)
	if e.Epoch == p.Epoch {
		t.Error("the epoch is still the same")
	}
	if since.Epoch != e.Epoch || since.Compare(p.Offset) >= 0 {
		t.Errorf("the log is said to be the same up to %v, and it is another at %v", since, p)
	}
	read(t, b, bus.Position{}, 4)
}

// The key of the epoch outlives DEL and eviction of the stream. What publishers
// fill it with again is newer, and would make every old position look trimmed.
func TestADeletedStreamIsANewEpoch(t *testing.T) {
	for _, filled := range []bool{false, true} {
		t.Run(fmt.Sprint("filled again: ", filled), func(t *testing.T) {
			b := open(t, Options{URL: shared.URL, Stream: stream()})
			c := shared.Client(t)
			publish(t, b, sequence("a", 1, 5)...)
			p := end(t, b)
			time.Sleep(2 * time.Millisecond)
			if err := c.Del(t.Context(), b.logKey).Err(); err != nil {
				t.Fatal(err)
			}
			if filled {
				publish(t, b, sequence("a", 6, 9)...)
			}
			mustLose(t, b, p)
			if e := end(t, b); e.Epoch == p.Epoch || e.Epoch == "" {
				t.Errorf("the epoch is %q, as before", e.Epoch)
			}
		})
	}
}

func TestADeletedEpochKeyIsANewEpoch(t *testing.T) {
	b := open(t, Options{URL: shared.URL, Stream: stream()})
	publish(t, b, one("a", 1))
	p := end(t, b)
	if err := shared.Client(t).Del(t.Context(), b.epochKey).Err(); err != nil {
		t.Fatal(err)
	}
	mustLose(t, b, p)
	if e := end(t, b); e.Epoch == p.Epoch {
		t.Error("the epoch is still the same")
	}
}

// Servers that see one loss at the same time must find one new epoch, or each
// would declare the others' positions lost, for ever.
func TestAllServersAgreeOnTheNewEpoch(t *testing.T) {
	name := stream()
	first := open(t, Options{URL: shared.URL, Stream: name})
	publish(t, first, sequence("a", 1, 5)...)
	p := end(t, first)
	if err := shared.Client(t).XDel(t.Context(), first.logKey, formatID(p.Offset)).Err(); err != nil {
		t.Fatal(err)
	}
	epochs := make([]string, 8)
	var wg sync.WaitGroup
	for i := range epochs {
		b := open(t, Options{URL: shared.URL, Stream: name})
		wg.Go(func() {
			if err := tail(t, b, p).ends(t); !errors.Is(err, bus.ErrPositionLost) {
				t.Errorf("Tail returned %v", err)
			}
			e, err := b.End(t.Context())
			if err != nil {
				t.Error(err)
			}
			epochs[i] = e.Epoch
		})
	}
	wg.Wait()
	for _, e := range epochs {
		if e != epochs[0] || e == p.Epoch {
			t.Fatalf("epochs %q, before %s", epochs, p.Epoch)
		}
	}
}

// A reader that waits for new entries must find the loss without one.
func TestAnIdleTailFindsTheLoss(t *testing.T) {
	b := open(t, Options{URL: shared.URL, Stream: stream()})
	publish(t, b, one("a", 1))
	r := tail(t, b, bus.Position{})
	p := r.wait(t, 1)[0].Position
	if err := shared.Client(t).Del(t.Context(), b.logKey).Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.ends(t); !errors.Is(err, bus.ErrPositionLost) {
		t.Fatalf("Tail returned %v", err)
	}
	if e := end(t, b); e.Epoch == p.Epoch {
		t.Error("the epoch is still the same")
	}
}

// A reader that is slow, or a stream that is deleted while it never idles: XREAD
// goes on behind the hole. What was delivered must have none.
func TestATailThatIsOvertakenByTrimmingDeliversNoHole(t *testing.T) {
	b := open(t, Options{URL: shared.URL, Stream: stream()})
	const n = 3000
	for i := uint64(1); i <= n; i++ { // without waiting for each: by hand
		b.writer.push(b.item(one("a", i), 0))
	}
	testkit.Eventually(t, "all are in the log", func() bool { return shared.Client(t).XLen(t.Context(), b.logKey).Val() == n })
	first, release, overtaken := make(chan bool), make(chan bool), make(chan error, 1)
	var last uint64 // of the goroutine, until overtaken has told how it ended
	go func() {
		overtaken <- b.Tail(t.Context(), bus.Position{}, func(d bus.Delivery) error {
			if last == 0 { // it reads ahead, but not to the end
				close(first)
				<-release
			}
			if d.Batch.Seq != last+1 {
				t.Errorf("batch %d follows %d", d.Batch.Seq, last)
			}
			last = d.Batch.Seq
			return nil
		})
	}()
	<-first
	err := shared.Client(t).XTrimMaxLen(t.Context(), b.logKey, 1).Err()
	close(release)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-overtaken:
		if !errors.Is(err, bus.ErrPositionLost) {
			t.Fatalf("Tail returned %v after %d", err, last)
		}
	case <-time.After(testkit.Patience):
		t.Fatal("Tail goes on")
	}
}

// counts reports whether the server counts what was ever added to a stream.
func counts(t *testing.T, s *redistest.Server) bool {
	t.Helper()
	return !strings.Contains(s.Client(t).Info(t.Context(), "server").Val(), "redis_version:6.")
}

// The zero offset of an empty log is a place: nothing was before it. Redis 6.2 cannot
// say whether something was between it and the first entry, so there it is said to be lost.
func TestTailFromTheEndOfAnEmptyLog(t *testing.T) {
	b := open(t, Options{URL: shared.URL, Stream: stream()})
	empty := end(t, b)
	publish(t, b, sequence("a", 1, 300)...)
	if !counts(t, shared) {
		mustLose(t, b, empty)
		read(t, b, bus.Position{}, 300)
		return
	}
	if got := read(t, b, empty, 300); got[0].Batch.Seq != 1 {
		t.Errorf("batch %d is the first", got[0].Batch.Seq)
	}
	if err := shared.Client(t).XTrimMaxLen(t.Context(), b.logKey, 5).Err(); err != nil {
		t.Fatal(err)
	}
	mustLose(t, b, empty)
}

// Redis may lose what it acknowledged last. The source must bring it again by
// itself, also when it has nothing new to publish.
func TestWhatRedisLostIsSentAgain(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	b := open(t, Options{URL: s.URL})
	publish(t, b, sequence("a", 1, 5)...)
	s.Restart(t, false)
	other := open(t, Options{URL: s.URL})
	r := tail(t, other, bus.Position{})
	r.wait(t, 5)
	insist(t, b, one("a", 6))
	r.wait(t, 6)
	if got := r.seqs(); got != "1 2 3 4 5 6" {
		t.Errorf("the log holds %s", got)
	}
}

// What is older than ResendAge when the link is lost is not sent again; what was
// younger then is, however long Redis is away.
func TestTheWindowIsWhatWasYoungAtTheLoss(t *testing.T) {
	now := time.Now()
	w := window{age: 10 * time.Second, limit: 1000}
	for i := range 5 {
		w.add(&item{bytes: 100, acked: now.Add(time.Duration(i-14) * time.Second)}) // 14 to 10 s old
	}
	if early := w.prune(now); early != 0 || w.len() != 1 || w.bytes != 100 {
		t.Errorf("%d items of %d bytes are left, %d gone early", w.len(), w.bytes, early)
	}
	for range 12 {
		w.add(&item{bytes: 100, acked: now})
	}
	if early := w.prune(now); early != 3 || w.bytes != 1000 {
		t.Errorf("%d went early, %d bytes are left; want 3 and 1000", early, w.bytes)
	}
	none := window{age: -1, limit: 1000}
	none.add(&item{bytes: 100, acked: now})
	if early := none.prune(now); early != 0 || none.len() != 0 {
		t.Error("a negative age keeps something")
	}
}

// Were #6 taken while #5, lost by Redis, is refused, servers would skip #5.
func TestNothingNewGetsInBeforeTheResend(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	b := open(t, Options{URL: s.URL})
	c := s.Client(t)
	set := func(limit string) {
		if err := c.ConfigSet(t.Context(), "maxmemory", limit).Err(); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, b, sequence("a", 1, 5)...)
	set("1")
	if err := c.Do(t.Context(), "DEL", b.logKey).Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal").Err(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := b.Publish(t.Context(), one("a", 6)); err == nil {
			t.Fatal("#6 was taken while memory was full")
		}
		time.Sleep(5 * time.Millisecond)
	}
	set("0")
	insist(t, b, one("a", 6))
	r := tail(t, b, bus.Position{})
	r.wait(t, 6)
	if got := r.seqs(); got != "1 2 3 4 5 6" {
		t.Errorf("the log holds %s", got)
	}
	stats := c.Info(t.Context(), "commandstats").Val()
	if !strings.Contains(stats, "cmdstat_exec:") {
		t.Error("the resend was no transaction: Redis may refuse one batch and accept the next")
	}
}

// A timed-out XADD may have been executed. The client library must not repeat it: the writer
// alone decides which batches are sent again.
func TestATimedOutPublishIsNotRepeatedByTheClient(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	b := open(t, Options{URL: s.URL + quick})
	insist(t, b, one("a", 1))
	s.Pause(t)
	if err := b.Publish(t.Context(), one("a", 2)); err == nil {
		t.Fatal("acknowledged by a stopped server")
	}
	s.Resume(t)
	insist(t, b, one("a", 3))
	r := tail(t, b, bus.Position{})
	r.wait(t, 3)
	times := map[uint64]int{}
	for _, d := range r.deliveries() {
		times[d.Batch.Seq]++
	}
	if times[2] > 1 {
		t.Errorf("the batch of one Publish is in the log %d times", times[2])
	}
}

// Entries in a foreign format cost themselves only.
func TestStrangersEntriesDoNotStopTheLog(t *testing.T) {
	var log testkit.Log
	b := open(t, Options{URL: shared.URL, Stream: stream(), Logger: log.Logger()})
	c := shared.Client(t)
	publish(t, b, one("a", 1))
	for _, args := range [][]any{
		{"hello", "world"}, {"b", "not snappy"}, {"s", "a", "n", "x", "b", ""}, {"s", "a", "b", ""}, {"s", "a", "n", "2", "m", "2", "b", "\x00"},
	} {
		if err := c.Do(t.Context(), append([]any{"XADD", b.logKey, "*"}, args...)...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, b, one("a", 2))
	r := tail(t, b, bus.Position{})
	got := r.wait(t, 7)
	if r.seqs() != "1 0 0 0 0 0 2" {
		t.Errorf("batches %s", r.seqs())
	}
	for _, d := range got[1:6] {
		if len(d.Batch.Series) > 0 || d.Batch.Source != "" {
			t.Errorf("%+v came of a stranger's entry", d.Batch)
		}
	}
	read(t, b, got[3].Position, 3) // their positions are positions
	if log.String() == "" {
		t.Error("nobody was told")
	}
}
