package redisbus

import (
	"net"
	"strings"
	"testing"
	"time"

	"stripchart/internal/bus/redisbus/redistest"
	"stripchart/internal/testkit"
)

// The only node that the URL names is the node that dies.
func TestNothingAcknowledgedIsLostWhenAReplicaOfAClusterTakesOver(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	n := c.Of(t, theLog)
	master, replica := c.Masters[n], c.Replicas[n]
	x := newScene(t, "redis+cluster://"+master.Addr)
	before, _ := x.epoch()
	loseTheEnd(t, master, []*redistest.Server{replica})
	t.Logf("kill -9 of the master of the slot: acknowledged and delivered again after %v", x.live())
	epoch, lost := x.epoch()
	if epoch == before || lost == 0 {
		t.Errorf("the log lost its end, but the epoch is %s and was %s, and positions were lost %d times", epoch, before, lost)
	}
	master.Restart(t, true)
	testkit.Eventually(t, "the old master is a replica", func() bool { return !master.IsMaster(t) })
	x.live()

	// The old one takes over again, by plan: it waits until it has everything.
	testkit.Eventually(t, "it has caught up", func() bool {
		return strings.Contains(master.Client(t).Info(t.Context(), "replication").Val(), "master_link_status:up")
	})
	began, asked := time.Now(), time.Time{}
	testkit.Eventually(t, "it is the master", func() bool {
		if time.Since(asked) > 6*time.Second { // Redis gives up after five
			asked = time.Now()
			if err := master.Client(t).Do(t.Context(), "CLUSTER", "FAILOVER").Err(); err != nil {
				t.Fatal(err)
			}
		}
		return master.IsMaster(t) && !replica.IsMaster(t)
	})
	t.Logf("CLUSTER FAILOVER: done after %v, acknowledged and delivered again %v later", time.Since(began).Round(10*time.Millisecond), x.live())
	if e, l := x.epoch(); e != epoch || l != lost {
		t.Errorf("a planned failover is a new epoch: %s was %s", e, epoch)
	}
	x.end()
}

// While one of the two keys has moved, Redis answers ASK and TRYAGAIN, and the bus waits.
func TestNothingAcknowledgedIsLostWhenTheSlotMoves(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	n := c.Of(t, theLog)
	from, to := c.Masters[n], c.Masters[(n+1)%3]
	x := newScene(t, "redis+cluster://"+from.Addr)
	before, _ := x.epoch()
	slot, err := from.Client(t).ClusterKeySlot(t.Context(), theLog).Result()
	if err != nil {
		t.Fatal(err)
	}
	do := func(s *redistest.Server, words ...any) {
		t.Helper()
		if err := s.Client(t).Do(t.Context(), words...).Err(); err != nil {
			t.Fatalf("%v: %v", words, err)
		}
	}
	began := time.Now()
	do(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", from.ID(t))
	do(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", to.ID(t))
	host, port, _ := net.SplitHostPort(to.Addr)
	for _, key := range []string{theLog, "{" + DefaultStream + "}:epoch"} {
		do(from, "MIGRATE", host, port, key, 0, 5000)
		time.Sleep(500 * time.Millisecond) // with one key here and one there; then with none here
	}
	for _, s := range append(c.Masters, to, from) {
		do(s, "CLUSTER", "SETSLOT", slot, "NODE", to.ID(t))
	}
	t.Logf("the slot is elsewhere after %v, acknowledged and delivered again %v later", time.Since(began).Round(10*time.Millisecond), x.live())
	if e, l := x.epoch(); e != before || l != 0 {
		t.Errorf("a move is a new epoch: %s was %s; positions were lost %d times", e, before, l)
	}
	if n := to.Client(t).XLen(t.Context(), theLog).Val(); n == 0 {
		t.Error("the log is not where the slot is")
	}
	x.end()
}
