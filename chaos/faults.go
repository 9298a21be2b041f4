package chaos

import (
	"slices"
	"syscall"
	"time"
)

// logLost is the only reason for a gap that a fault here allows: the log is kept
// for longer than a rig lives, and spools hold more than it measures.
const logLost = "log_lost"

// fault is something that goes wrong, and is put right again before inject
// returns.
type fault struct {
	name string
	// inject does the harm for a while and heals it. Errors are of the harness, not
	// of the product.
	inject func(r *rig) error
	// fits reports whether the rig has what the fault needs. Nil: any rig.
	fits func(r *rig) bool
	// allowed are the reasons for gaps that may be declared because of it, in the time
	// that it took.
	allowed []string
}

// some returns a random one.
func some[T any](r *rig, of []T) T { return of[r.rand.IntN(len(of))] }

// between sleeps for a random time.
func (r *rig) between(low, high time.Duration) {
	time.Sleep(low + time.Duration(r.rand.Int64N(int64(high-low))))
}

// faults are all faults, in the order of the table.
func faults() []fault {
	return slices.Concat(processFaults(), redisFaults(), networkFaults(), clockFaults(), diskFaults())
}

func withRedis(r *rig) bool   { return r.redis != nil }
func withSources(r *rig) bool { return len(r.sources) > 0 }

// processFaults kill and pause what is ours.
func processFaults() []fault {
	return []fault{{
		name: "`kill -9` of a server",
		inject: func(r *rig) error {
			s := some(r, r.servers)
			s.kill()
			r.between(0, 2*time.Second)
			return s.start()
		},
	}, {
		name: "planned stop of a server",
		inject: func(r *rig) error {
			s := some(r, r.servers)
			if err := s.stop(10 * time.Second); err != nil {
				return err
			}
			r.between(0, time.Second)
			return s.start()
		},
	}, {
		name: "`kill -9` of a source",
		fits: withSources,
		inject: func(r *rig) error {
			s := some(r, r.sources)
			s.kill()
			r.between(0, time.Second)
			return s.start()
		},
	}, {
		name: "`kill -9` of a source while Redis is away",
		fits: func(r *rig) bool { return withSources(r) && withRedis(r) },
		inject: func(r *rig) error {
			s := some(r, r.sources)
			heal, err := s.bus.refuse()
			if err != nil {
				return err
			}
			r.between(500*time.Millisecond, 2*time.Second)
			s.kill()
			r.between(0, 500*time.Millisecond)
			err = s.start()
			r.between(500*time.Millisecond, 2*time.Second)
			heal()
			return err
		},
	}, {
		name: "`kill -9` of a collector",
		fits: func(r *rig) bool { return len(r.collectors) > 0 },
		inject: func(r *rig) error {
			c := some(r, r.collectors)
			c.kill()
			r.between(0, time.Second)
			return c.start()
		},
	}, {
		name:   "a server is paused (SIGSTOP)",
		inject: func(r *rig) error { return r.suspend(some(r, r.servers).process) },
	}, {
		name:   "a source is paused (SIGSTOP)",
		fits:   withSources,
		inject: func(r *rig) error { return r.suspend(some(r, r.sources).process) },
	}, {
		name:   "Redis is paused (SIGSTOP)",
		fits:   withRedis,
		inject: func(r *rig) error { return r.suspend(r.redis.process) },
	}, {
		name: "a server is replaced, its viewers move through nginx",
		fits: func(r *rig) bool { return r.nginx != nil },
		inject: func(r *rig) error {
			s := some(r, r.servers)
			s.kill()
			// Long enough that everybody has moved.
			r.between(3*time.Second, 5*time.Second)
			return s.start()
		},
	}}
}

// suspend stops the process for longer than the time limits of those that wait for it.
func (r *rig) suspend(p *process) error {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	r.between(4*time.Second, 12*time.Second)
	return p.signal(syscall.SIGCONT)
}

// networkFaults hurt the links between each pair.
func networkFaults() (out []fault) {
	pairs := []struct {
		name string
		link func(r *rig) *link
		fits func(r *rig) bool
	}{
		{"source and Redis", func(r *rig) *link { return some(r, r.sources).bus }, func(r *rig) bool { return withSources(r) && withRedis(r) }},
		{"server and Redis", func(r *rig) *link { return some(r, r.servers).bus }, withRedis},
		{"viewers and server", func(r *rig) *link { return some(r, r.servers).door }, nil},
	}
	kinds := []struct {
		name      string
		toxics    []toxic
		low, high time.Duration
	}{
		{"cut", []toxic{{"timeout", up, map[string]int{"timeout": 0}}, {"timeout", down, map[string]int{"timeout": 0}}}, time.Second, 8 * time.Second},
		{"reset", []toxic{{"reset_peer", up, map[string]int{"timeout": 0}}, {"reset_peer", down, map[string]int{"timeout": 0}}}, 100 * time.Millisecond, time.Second},
		{"late", []toxic{{"latency", up, map[string]int{"latency": 300, "jitter": 200}}, {"latency", down, map[string]int{"latency": 300, "jitter": 200}}}, time.Second, 4 * time.Second},
		{"narrow (1 KB/s)", []toxic{{"bandwidth", up, map[string]int{"rate": 1}}, {"bandwidth", down, map[string]int{"rate": 1}}}, time.Second, 4 * time.Second},
	}
	for _, kind := range kinds {
		for _, pair := range pairs {
			out = append(out, fault{
				name: "network " + kind.name + " between " + pair.name,
				fits: pair.fits,
				inject: func(r *rig) error {
					l := pair.link(r)
					for _, t := range kind.toxics {
						heal, err := l.poison(t)
						if err != nil {
							return err
						}
						defer heal()
					}
					r.between(kind.low, kind.high)
					return nil
				},
			})
		}
	}
	return append(out, fault{
		name: "connections refused between source and Redis",
		fits: pairs[0].fits,
		inject: func(r *rig) error {
			heal, err := pairs[0].link(r).refuse()
			if err != nil {
				return err
			}
			defer heal()
			r.between(time.Second, 15*time.Second) // also beyond what a source sends again
			return nil
		},
	}, fault{
		name: "a reply is lost after `XADD` was carried out",
		fits: pairs[0].fits,
		inject: func(r *rig) error {
			l := pairs[0].link(r)
			for range 1 + r.rand.IntN(3) {
				heal, err := l.poison(toxic{"timeout", down, map[string]int{"timeout": 100 + r.rand.IntN(400)}})
				if err != nil {
					return err
				}
				r.between(300*time.Millisecond, time.Second)
				heal()
			}
			return nil
		},
	})
}
