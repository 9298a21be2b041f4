package redistest

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Cluster is three masters that share the slots, and a replica of each, which takes
// over some three seconds after its master was last heard of.
type Cluster struct {
	Masters  []*Server // at first
	Replicas []*Server // of the masters, in their order, at first
}

// slots is how many a cluster has.
const slots = 16384

// StartCluster starts a cluster, which ends with the test, and waits until all its
// nodes agree that it works. The nodes keep their data.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	x := &Cluster{}
	for n := range 6 {
		s := Start(t, Options{Persist: true, Args: []string{"--cluster-enabled", "yes", "--cluster-node-timeout", "2000"}})
		if n < 3 {
			x.Masters = append(x.Masters, s)
		} else {
			x.Replicas = append(x.Replicas, s)
		}
		ask(t, s, "CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(n+1))
		host, port, _ := net.SplitHostPort(x.Masters[0].Addr)
		ask(t, s, "CLUSTER", "MEET", host, port)
	}
	for n, s := range x.Masters {
		if err := s.Client(t).ClusterAddSlotsRange(t.Context(), n*slots/3, (n+1)*slots/3-1).Err(); err != nil {
			t.Fatal(err)
		}
	}
	x.everywhere(t, "every node knows the others", "cluster_known_nodes:6")
	for n, s := range x.Replicas {
		ask(t, s, "CLUSTER", "REPLICATE", x.Masters[n].ID(t))
	}
	x.everywhere(t, "the cluster works", "cluster_state:ok")
	for _, s := range x.Replicas {
		until(t, "a replica has caught up", func() bool {
			return strings.Contains(s.Client(t).Info(t.Context(), "replication").Val(), "master_link_status:up")
		})
	}
	return x
}

// Nodes are all of them.
func (x *Cluster) Nodes() []*Server { return slices.Concat(x.Masters, x.Replicas) }

func (x *Cluster) everywhere(t testing.TB, what, state string) {
	t.Helper()
	for _, s := range x.Nodes() {
		until(t, what, func() bool { return strings.Contains(s.Client(t).ClusterInfo(t.Context()).Val(), state) })
	}
}

// Of returns the number of the master, and of its replica, that have the key at first.
func (x *Cluster) Of(t testing.TB, key string) int {
	t.Helper()
	slot, err := x.Masters[0].Client(t).ClusterKeySlot(t.Context(), key).Result()
	if err != nil {
		t.Fatal(err)
	}
	for n := range x.Masters {
		if int(slot) < (n+1)*slots/3 {
			return n
		}
	}
	panic("a slot beyond the last")
}

// ID returns the name of a node in its cluster.
func (s *Server) ID(t testing.TB) string {
	t.Helper()
	return ask(t, s, "CLUSTER", "MYID")
}

// IsMaster reports whether the server says that it is a master.
func (s *Server) IsMaster(t testing.TB) bool {
	t.Helper()
	return strings.Contains(s.Client(t).Info(t.Context(), "replication").Val(), "role:master")
}

// ask sends a command that has to succeed, and returns an answer that is one string.
func ask(t testing.TB, s *Server, words ...any) string {
	t.Helper()
	answer, err := s.Client(t).Do(t.Context(), words...).Text()
	if err != nil {
		t.Fatalf("%v: %v", words, err)
	}
	return answer
}

// StartClusterOfOne starts a cluster of one node, which ends with the test.
func StartClusterOfOne(t testing.TB, o Options) *Server {
	t.Helper()
	o.Args = append(o.Args, "--cluster-enabled", "yes")
	s := Start(t, o)
	if err := s.Client(t).ClusterAddSlotsRange(t.Context(), 0, slots-1).Err(); err != nil {
		t.Fatal(err)
	}
	until(t, "the cluster works", func() bool {
		return strings.Contains(s.Client(t).ClusterInfo(t.Context()).Val(), "cluster_state:ok")
	})
	return s
}
