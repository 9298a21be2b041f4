package redisbus

import (
	"strings"
	"testing"
	"time"

	"stripchart/internal/bus/redisbus/redistest"
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
	eventually(t, "the sentinels agree on another master", func() bool { m := w.Master(t); return m != nil && m != old })
	old.Restart(t, true)
	eventually(t, "the old master is a replica", func() bool {
		return strings.Contains(old.Client(t).Info(t.Context(), "replication").Val(), "role:slave")
	})
	t.Logf("the old master is a replica %v after it was killed", time.Since(killed).Round(10*time.Millisecond))
	x.live()
	if e, l := x.epoch(); e != epoch || l != lost {
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
	eventually(t, "the sentinels agree on another master", func() bool { return w.Master(t) == w.Nodes[1] })
	t.Logf("SENTINEL FAILOVER: sentinels agree after %v, acknowledged and delivered again %v later",
		time.Since(began).Round(10*time.Millisecond), x.live())
	x.end()
}

// loseTheEnd kills a master which has acknowledged what none of its replicas has: they
// are stopped, for less time than anybody notices, and their connections cut.
func loseTheEnd(t *testing.T, master *redistest.Server, replicas []*redistest.Server) {
	t.Helper()
	newest := func(s *redistest.Server) string {
		t.Helper()
		c := s.Client(t).Conn()
		defer func() { _ = c.Close() }()
		_ = c.ReadOnly(t.Context()) // a cluster's replica wants to be told; others do not know it
		last, err := c.XRevRangeN(t.Context(), clusterKey, "+", "-", 1).Result()
		if err != nil || len(last) == 0 {
			t.Fatal("the log is empty", err)
		}
		return last[0].ID
	}
	for _, s := range replicas {
		s.Pause(t)
	}
	if err := master.Client(t).Do(t.Context(), "CLIENT", "KILL", "TYPE", "replica").Err(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * interval)
	last := newest(master)
	master.Kill9()
	for _, s := range replicas {
		s.Resume(t)
	}
	for _, s := range replicas {
		if newest(s) >= last {
			t.Fatal("a replica has everything: nothing was tested")
		}
	}
}
