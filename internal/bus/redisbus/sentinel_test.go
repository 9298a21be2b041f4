package redisbus

import (
	"strings"
	"testing"
	"time"

	"stripchart/internal/bus/redisbus/redistest"
	"stripchart/internal/testkit"
)

func TestNothingAcknowledgedIsLostWhenSentinelsPromoteAReplica(t *testing.T) {
	t.Parallel()
	w := redistest.StartWatched(t, 2)
	x := newScene(t, w.URL)
	before, _ := x.epoch()
	old := w.Nodes[0]
	loseTheEnd(t, old, w.Nodes[1:])
	killed := time.Now()
	t.Logf("kill -9 of the master: acknowledged and delivered again after %v", x.live())
	epoch, lost := x.epoch()
	if epoch == before || lost == 0 {
		t.Errorf("the log lost its end, but the epoch is %s and was %s, and positions were lost %d times", epoch, before, lost)
	}

	// It comes back with what the others have thrown away, and takes itself for the
	// master for some seconds. No sentinel does any more.
	var master *redistest.Server
	testkit.Eventually(t, "the sentinels agree on another master", func() bool { master = w.Master(t); return master != nil && master != old })
	old.Restart(t, true)
	testkit.Eventually(t, "the old master is a replica", func() bool {
		return strings.Contains(old.Client(t).Info(t.Context(), "replication").Val(), "role:slave")
	})
	t.Logf("the old master is a replica %v after it was killed", time.Since(killed).Round(10*time.Millisecond))
	x.live()
	if w.Master(t) != master {
		t.Log("the new master was too slow for its sentinels, and replaced as well")
	} else if e, l := x.epoch(); e != epoch || l != lost {
		t.Errorf("the return of the old master is a new epoch: %s was %s", e, epoch)
	}
	x.end()
}

func TestNothingAcknowledgedIsLostByAPlannedFailover(t *testing.T) {
	t.Parallel()
	w := redistest.StartWatched(t, 1)
	x := newScene(t, w.URL)
	began := time.Now()
	if err := w.Sentinels[0].Client(t).Do(t.Context(), "SENTINEL", "FAILOVER", redistest.MasterName).Err(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the sentinels agree on another master", func() bool { return w.Master(t) == w.Nodes[1] })
	agreed := time.Since(began).Round(10 * time.Millisecond)
	last := newest(t, w.Nodes[1])
	testkit.Eventually(t, "the new master is written to", func() bool { return newest(t, w.Nodes[1]) > last })
	x.live()
	t.Logf("SENTINEL FAILOVER: sentinels agree after %v, acknowledged and delivered again after %v", agreed, time.Since(began).Round(10*time.Millisecond))
	x.end()
}

// A master that hung is back, and takes itself for the master still; so does a sentinel
// that was away meanwhile, and is the only one to answer. What is acknowledged there will
// be thrown away, so nobody may stay longer than the others are silent.
func TestAnOldMasterIsLeftOnceASentinelKnowsBetter(t *testing.T) {
	t.Parallel()
	w := redistest.StartWatched(t, 1)
	anOldMasterIsLeft(t, w, w.URL, func(*redistest.Server) {})
}

// Sentinels that answer to a user who may not ask `SENTINEL MASTER` do not tell how new
// their configuration is.
func TestAnOldMasterIsLeftOnceTheMajorityOfSentinelsThatMayNotTellTheirEpochSaysSo(t *testing.T) {
	t.Parallel()
	w := redistest.StartWatched(t, 1)
	user := func(s *redistest.Server, may ...any) {
		t.Helper()
		words := append([]any{"ACL", "SETUSER", "asker", "on", ">secret", "allkeys", "allchannels"}, may...)
		testkit.Eventually(t, "the user is there", func() bool { return s.Client(t).Do(t.Context(), words...).Err() == nil })
	}
	for _, s := range w.Nodes {
		user(s, "+@all")
	}
	restrict := func(s *redistest.Server) {
		user(s, "-@all", "+auth", "+hello", "+ping", "+sentinel|get-master-addr-by-name", "+sentinel|sentinels")
	}
	for _, s := range w.Sentinels {
		restrict(s)
	}
	anOldMasterIsLeft(t, w, strings.Replace(w.URL, "://", "://asker:secret@", 1), restrict)
	for _, s := range w.Sentinels {
		if refused, err := s.Client(t).Do(t.Context(), "ACL", "LOG").Slice(); err != nil || len(refused) == 0 {
			t.Errorf("the sentinel has told everything (%v, %v): nothing was tested", refused, err)
		}
	}
}

// anOldMasterIsLeft lets a source find the old master by the one sentinel that is late,
// and the new one by the others. restarted is called with a sentinel that was started again.
func anOldMasterIsLeft(t *testing.T, w *redistest.Watched, url string, restarted func(*redistest.Server)) {
	t.Helper()
	old, next, late := w.Nodes[0], w.Nodes[1], w.Sentinels[2]
	late.Kill9()
	old.Pause(t)
	testkit.Eventually(t, "the others promote the replica", func() bool { return w.Master(t) == next })
	for _, s := range w.Sentinels[:2] {
		s.Pause(t)
	}
	late.Restart(t, true)
	restarted(late)
	old.Resume(t)

	sources := []*source{startSource(t, "bus", Options{URL: url}, false)}
	testkit.Eventually(t, "the old master is written to", func() bool { return newest(t, old) != "" })
	for _, s := range w.Sentinels[:2] {
		s.Resume(t)
	}
	began := time.Now()
	testkit.Eventually(t, "the new master is written to", func() bool { return newest(t, next) != "" })
	if !old.IsMaster(t) {
		t.Fatal("the old master is a replica already: nothing was tested")
	}
	t.Logf("left %v after the other sentinels answered", time.Since(began).Round(10*time.Millisecond))
	f := follow(t, Options{URL: url})
	sources[0].stop()
	testkit.Eventually(t, "everything is delivered", func() bool { return f.has(sources) })
}

// loseTheEnd kills a master which has acknowledged what none of its replicas has: they
// are stopped, for less time than anybody notices, and their connections cut.
func loseTheEnd(t *testing.T, master *redistest.Server, replicas []*redistest.Server) {
	t.Helper()
	for _, s := range replicas {
		testkit.Eventually(t, "a replica has something", func() bool { return newest(t, s) != "" })
	}
	for _, s := range replicas {
		s.Pause(t)
	}
	if err := master.Client(t).Do(t.Context(), "CLIENT", "KILL", "TYPE", "replica").Err(); err != nil {
		t.Fatal(err)
	}
	known := newest(t, master)
	testkit.Eventually(t, "the master takes what no replica has", func() bool { return newest(t, master) > known })
	last := newest(t, master)
	master.Kill9()
	for _, s := range replicas {
		s.Resume(t)
	}
	for _, s := range replicas {
		if newest(t, s) >= last {
			t.Fatal("a replica has everything: nothing was tested")
		}
	}
}

// newest returns the ID of the newest entry that the server has; "" while it has none, and
// while it does not answer.
func newest(t *testing.T, s *redistest.Server) string {
	t.Helper()
	c := s.Client(t).Conn()
	defer func() { _ = c.Close() }()
	_ = c.ReadOnly(t.Context()) // a cluster's replica wants to be told; others do not know it
	last, err := c.XRevRangeN(t.Context(), theLog, "+", "-", 1).Result()
	if err != nil || len(last) == 0 {
		return ""
	}
	return last[0].ID
}
