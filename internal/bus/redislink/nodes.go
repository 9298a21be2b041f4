package redislink

import (
	"context"
	"slices"
	"sync"

	"github.com/redis/go-redis/v9"
)

// nodes holds the addresses of the sentinels, or of the cluster nodes, that are asked for the master:
// the addresses in the URL, and the others as last reported. The others are needed because all nodes in
// the URL may be down.
type nodes struct {
	named []string // in the URL

	mu      sync.Mutex // guards what follows
	learned []string
}

func (n *nodes) get() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Concat(n.named, n.learned)
}

// set replaces the learned addresses.
func (n *nodes) set(addrs []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.learned = slices.DeleteFunc(addrs, func(addr string) bool { return slices.Contains(n.named, addr) })
}

// learn sets the addresses that the cluster has just reported.
func (n *nodes) learn(ctx context.Context, c *redis.ClusterClient) {
	var mu sync.Mutex
	var addrs []string
	err := c.ForEachShard(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		addrs = append(addrs, node.Options().Addr)
		return nil
	})
	if err == nil { // otherwise the previous addresses stay
		n.set(addrs)
	}
}
