package chaos

import (
	"slices"
	"syscall"
	"time"
)

// logLost, logTrimmed and sourceDropped are the reasons for gaps, each of which one
// fault allows.
const (
	logLost       = "log_lost"
	logTrimmed    = "log_trimmed"
	sourceDropped = "source_dropped"
)

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
	// before is by how much such a gap may begin earlier than others.
	before time.Duration
	// loses says that the log loses its end, and that the sources send the lost batches again. kills
	// says that a server ends: if it ends while it still waits for sources that do not come back, it
	// has not saved which batches it has received since the loss, and declares a gap.
	loses, kills bool
}

// some returns a random one.
func some[T any](r *rig, of []T) T { return of[r.rand.IntN(len(of))] }

// between sleeps for a random time.
func (r *rig) between(low, high time.Duration) {
	time.Sleep(low + time.Duration(r.rand.Int64N(int64(high-low))))
}

// faults are all faults, in the order of the table.
func faults() []fault {
	return slices.Concat(processFaults(), redisFaults(), sentinelFaults(), networkFaults(), clockFaults(), diskFaults())
}

// withRedis reports whether there is a Redis with a link between it and each process.
func withRedis(r *rig) bool   { return r.redis != nil && r.sentinels == nil }
func withSources(r *rig) bool { return len(r.sources) > 0 }

// onRedis are the sources that publish to Redis themselves.
func (r *rig) onRedis() (out []*sourceProcess) {
	for _, s := range r.sources {
		if !s.pushes {
			out = append(out, s)
		}
	}
	return out
}

// toServers are the links of all that write to a server over HTTP.
func (r *rig) toServers() (out []*link) {
	for _, s := range r.sources {
		if s.pushes {
			out = append(out, s.bus)
		}
	}
	if r.writer != nil {
		out = append(out, r.writer.link)
	}
	return out
}

// processFaults kill and pause what is ours.
func processFaults() []fault {
	return []fault{{
		name:  "`kill -9` of a server",
		kills: true,
		inject: func(r *rig) error {
			s := some(r, r.servers)
			s.kill()
			r.between(0, 2*time.Second)
			return s.start()
		},
	}, {
		name:  "planned stop of a server",
		kills: true,
		inject: func(r *rig) error {
			s := some(r, r.servers)
			if err := s.stop(patience); err != nil {
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
			s := some(r, r.onRedis())
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
		// The spool's own bound: what it drops is a declared gap.
		name:    "Redis is away for longer than a source's spool of 1 MB holds",
		fits:    func(r *rig) bool { return withSources(r) && withRedis(r) },
		allowed: []string{sourceDropped, logLost},
		inject: func(r *rig) error {
			s := some(r, r.onRedis())
			large := s.args
			s.kill()
			s.args = append(slices.Clip(large), "--small-spool")
			if err := s.start(); err != nil {
				return err
			}
			r.between(300*time.Millisecond, time.Second)
			heal, err := s.bus.refuse()
			if err != nil {
				return err
			}
			defer heal()
			r.between(5*time.Second, 9*time.Second)
			s.kill()
			s.args = large
			return s.start()
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
		name:  "a server is replaced, its viewers move through nginx",
		fits:  func(r *rig) bool { return r.nginx != nil },
		kills: true,
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
		{"source and Redis", func(r *rig) *link { return some(r, r.onRedis()).bus }, func(r *rig) bool { return withSources(r) && withRedis(r) }},
		{"source and server", func(r *rig) *link { return some(r, r.toServers()) }, func(r *rig) bool { return len(r.toServers()) > 0 }},
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
