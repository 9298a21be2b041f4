package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// link is a proxied connection between two parts: what can be cut, slowed and
// reset.
type link struct {
	name    string
	address string // where the one part connects to
	proxy   *toxiproxy.Proxy
}

// network makes links.
type network struct {
	server *toxiproxy.ApiServer // its API is never served
	links  []*link
}

func newNetwork() *network {
	zerolog.SetGlobalLevel(zerolog.Disabled) // some toxics write to standard error whatever logger they are given
	metrics := toxiproxy.NewMetricsContainer(prometheus.NewRegistry())
	return &network{server: toxiproxy.NewServer(metrics, zerolog.Nop())}
}

// link makes a link to the address upstream.
func (n *network) link(name, upstream string) (*link, error) {
	for tries := 0; ; tries++ {
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		l := &link{name: name, address: address, proxy: toxiproxy.NewProxy(n.server, name, address, upstream)}
		switch err := l.proxy.Start(); {
		case err == nil:
			n.links = append(n.links, l)
			return l, nil
		case tries == 5: // others take ports, too
			return nil, fmt.Errorf("start link %s: %w", name, err)
		}
	}
}

func (n *network) close() {
	for _, l := range n.links {
		l.proxy.Stop()
	}
	n.links = nil
}

// Directions of a toxic, from the part that connects.
const (
	up   = "upstream"
	down = "downstream"
)

// toxic is what a link suffers from: one of Toxiproxy's kinds with its
// attributes.
type toxic struct {
	kind      string
	direction string
	attribute map[string]int
}

// poison adds the toxic to the link and returns what removes it again.
func (l *link) poison(t toxic) (heal func(), err error) {
	name := t.kind + "-" + t.direction
	b, err := json.Marshal(map[string]any{"name": name, "type": t.kind, "stream": t.direction, "toxicity": 1, "attributes": t.attribute})
	if err != nil {
		return nil, err
	}
	if _, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(string(b))); err != nil {
		return nil, fmt.Errorf("poison link %s: %w", l.name, err)
	}
	return func() { _ = l.proxy.Toxics.RemoveToxic(context.Background(), name) }, nil
}

// refuse closes the link's connections and accepts no more until it is healed.
func (l *link) refuse() (heal func(), err error) {
	l.proxy.Stop()
	return func() {
		_ = until(patience, func() bool {
			err := l.proxy.Start()
			return err == nil || errors.Is(err, toxiproxy.ErrProxyAlreadyStarted)
		})
	}, nil
}

// repoint leads the link elsewhere; its connections are closed.
func (l *link) repoint(upstream string) error {
	l.proxy.Stop()
	l.proxy.Lock()
	l.proxy.Upstream = upstream
	l.proxy.Unlock()
	if err := l.proxy.Start(); err != nil {
		return fmt.Errorf("repoint link %s: %w", l.name, err)
	}
	return nil
}
