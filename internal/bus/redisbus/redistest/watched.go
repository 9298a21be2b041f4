package redistest

import (
	"net"
	"strings"
	"testing"
	"time"
)

// MasterName is the name of the master at the sentinels of StartWatched.
const MasterName = "mine"

// Watched is a master with replicas, and three sentinels that promote a replica one second
// after they last heard from the master.
type Watched struct {
	Nodes     []*Server // the first is the master, at first
	Sentinels []*Server
	URL       string // redis+sentinel://...
}

// StartWatched starts a master, replicas and sentinels, which end with the test, and
// waits until all know of each other. The nodes keep their data.
func StartWatched(t testing.TB, replicas int) *Watched {
	t.Helper()
	w := &Watched{Nodes: []*Server{Start(t, Options{Persist: true})}}
	host, port, _ := net.SplitHostPort(w.Nodes[0].Addr)
	for range replicas {
		w.Nodes = append(w.Nodes, Start(t, Options{Persist: true, Args: []string{"--replicaof", host, port}}))
	}
	for _, s := range w.Nodes[1:] {
		until(t, "a replica has caught up", func() bool {
			return strings.Contains(s.Client(t).Info(t.Context(), "replication").Val(), "master_link_status:up")
		})
	}
	for range 3 {
		w.Sentinels = append(w.Sentinels, Start(t, Options{Sentinel: []string{
			"sentinel monitor " + MasterName + " " + host + " " + port + " 2",
			"sentinel down-after-milliseconds " + MasterName + " 1000",
			"sentinel failover-timeout " + MasterName + " 3000",
		}}))
	}
	w.URL = "redis+sentinel://" + w.Sentinels[0].Addr + "?master_name=" + MasterName
	for _, s := range w.Sentinels {
		w.URL += "&addr=" + s.Addr
		until(t, "a sentinel knows the others and the replicas", func() bool {
			known, err := s.Client(t).Do(t.Context(), "SENTINEL", "SENTINELS", MasterName).Slice()
			watched, err2 := s.Client(t).Do(t.Context(), "SENTINEL", "REPLICAS", MasterName).Slice()
			return err == nil && err2 == nil && len(known) == 2 && len(watched) == replicas
		})
	}
	return w
}

// Master returns the node that all sentinels that answer take for the master, nil
// while they do not agree.
func (w *Watched) Master(t testing.TB) (master *Server) {
	t.Helper()
	for _, sentinel := range w.Sentinels {
		at, err := sentinel.Client(t).Do(t.Context(), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MasterName).StringSlice()
		if err != nil || len(at) != 2 {
			continue
		}
		for _, s := range w.Nodes {
			if s.Addr != net.JoinHostPort(at[0], at[1]) {
				continue
			}
			if master != nil && master != s {
				return nil
			}
			master = s
		}
	}
	return master
}

func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}
