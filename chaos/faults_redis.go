package chaos

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// redisFaults hurt Redis and what it keeps.
func redisFaults() []fault {
	return []fault{{
		name:   "`kill -9` of Redis, append-only file, `everysec`",
		loses:  true,
		fits:   withRedis,
		inject: func(r *rig) error { return r.killRedis("everysec") },
	}, {
		name:   "`kill -9` of Redis, append-only file, `always`",
		fits:   withRedis,
		inject: func(r *rig) error { return r.killRedis("always") },
	}, {
		name:   "`kill -9` of Redis, append-only file, `no`",
		loses:  true,
		fits:   withRedis,
		inject: func(r *rig) error { return r.killRedis("no") },
	}, {
		// While a flush is under way Redis acknowledges for up to 2 s what it has not
		// even written.
		name:  "`kill -9` of Redis, append-only file, `everysec`, flushes delayed by 5 s",
		loses: true,
		fits:  withRedis,
		inject: sometimesDeaf(func(r *rig) error {
			if err := r.redis.bent.flush(5 * time.Second); err != nil {
				return err
			}
			r.between(2*time.Second, 4*time.Second)
			r.redis.kill()
			if err := r.redis.bent.flush(0); err != nil {
				return err
			}
			return r.redis.start()
		}),
	}, {
		name:   "Redis restarts without persistence",
		loses:  true,
		fits:   withRedis,
		inject: sometimesDeaf((*rig).emptyRedis),
	}, {
		// The entries that the server missed exist nowhere any more. This is the one case for a
		// declared gap.
		name:    "Redis restarts without persistence, a server was cut off for longer than sources send again",
		loses:   true,
		fits:    withRedis,
		allowed: []string{logLost},
		inject: func(r *rig) error {
			heal, err := some(r, r.servers).bus.refuse()
			if err != nil {
				return err
			}
			defer heal()
			r.between(14*time.Second, 18*time.Second)
			return r.emptyRedis()
		},
	}, {
		// Trimming by age does the same, after a minute at the least.
		name: "a server is away for longer than the log goes back",
		fits: func(r *rig) bool { return withRedis(r) && len(r.servers) > 1 },
		// The server may also not have saved its position since the log lost its end the last time.
		allowed: []string{logTrimmed, logLost},
		// A source may have been away before the server was.
		before: 45 * time.Second,
		kills:  true,
		inject: func(r *rig) error {
			s := some(r, r.servers)
			s.kill()
			r.between(2*time.Second, 5*time.Second)
			id, err := r.redis.newestID()
			if err != nil {
				return err
			}
			time.Sleep(time.Second) // the other servers have read it by then
			if _, err := r.redis.ask("XTRIM", redisLog, "MINID", id); err != nil {
				return err
			}
			return s.start()
		},
	}, {
		name:  "Redis is restored from an older dump",
		loses: true,
		fits:  withRedis,
		inject: sometimesDeaf(func(r *rig) error {
			dump, err := r.redis.dump()
			if err != nil {
				return err
			}
			r.between(500*time.Millisecond, 6*time.Second)
			r.redis.kill()
			return r.redis.restore(dump)
		}),
	}, {
		name:   "a lagging replica is promoted",
		loses:  true,
		fits:   withRedis,
		inject: sometimesDeaf((*rig).failOver),
	}, {
		name: "`CLIENT KILL TYPE normal`",
		fits: withRedis,
		inject: func(r *rig) error {
			for range 1 + r.rand.IntN(5) {
				if _, err := r.redis.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"); err != nil {
					return err
				}
				r.between(10*time.Millisecond, 500*time.Millisecond)
			}
			return nil
		},
	}, {
		name: "Redis's memory is full",
		fits: withRedis,
		inject: func(r *rig) error {
			if _, err := r.redis.ask("CONFIG", "SET", "maxmemory", "1mb"); err != nil {
				return err
			}
			r.between(500*time.Millisecond, 4*time.Second)
			_, err := r.redis.ask("CONFIG", "SET", "maxmemory", "0")
			return err
		},
	}, {
		name: "Redis is busy with a script",
		fits: withRedis,
		inject: func(r *rig) error {
			if _, err := r.redis.ask("CONFIG", "SET", "lua-time-limit", "50"); err != nil {
				return err
			}
			script := make(chan struct{})
			go func() {
				defer close(script)
				_, _ = r.redis.ask("EVAL", "while true do end", "0") // ends with an error: it is killed
			}()
			r.between(500*time.Millisecond, 4*time.Second)
			killed := until(patience, func() bool {
				_, err := r.redis.ask("SCRIPT", "KILL")
				return err == nil || strings.Contains(err.Error(), "NOTBUSY")
			})
			<-script
			if !killed {
				return os.ErrDeadlineExceeded
			}
			return nil
		},
	}}
}

// redisLog is the key of the log.
const redisLog = "{stripchart}:log"

// newestID returns the ID of the log's newest entry.
func (r *redis) newestID() (string, error) {
	newest, err := r.ask("XREVRANGE", redisLog, "+", "-", "COUNT", "1")
	id, _, _ := strings.Cut(newest, "\n")
	return strings.TrimSpace(id), err
}

// logAhead returns by how much the log's time is ahead, 0 or more.
func (r *rig) logAhead() (time.Duration, error) {
	if r.redis == nil {
		return 0, nil
	}
	id, err := r.redis.newestID()
	if err != nil {
		return 0, err
	}
	var ms int64
	if _, err := fmt.Sscanf(id, "%d-", &ms); err != nil {
		return 0, fmt.Errorf("the log's newest entry is %q: %w", id, err)
	}
	return max(0, time.Until(time.UnixMilli(ms))).Truncate(time.Millisecond), nil
}

// sometimesDeaf cuts, in half of the cases, one server off from Redis meanwhile: what the log loses
// then, that server gets only if its sources publish it again. The loss is shorter than the 10 s that
// sources send again, so no gap may be declared.
func sometimesDeaf(inject func(r *rig) error) func(r *rig) error {
	return func(r *rig) error {
		if r.rand.IntN(2) == 0 {
			return inject(r)
		}
		heal, err := some(r, r.servers).bus.refuse()
		if err != nil {
			return err
		}
		defer heal()
		r.between(0, 3*time.Second)
		return inject(r)
	}
}

// emptyRedis kills Redis and starts it with nothing.
func (r *rig) emptyRedis() error {
	r.redis.kill()
	if err := r.redis.forget(); err != nil {
		return err
	}
	r.between(0, time.Second)
	return r.redis.start()
}

func (r *rig) killRedis(appendfsync string) error {
	if _, err := r.redis.ask("CONFIG", "SET", "appendfsync", appendfsync); err != nil {
		return err
	}
	r.between(100*time.Millisecond, time.Second)
	r.redis.kill()
	r.between(0, time.Second)
	return r.redis.start()
}

// failOver makes the spare Redis a replica, lets it fall behind, and promotes it after the end of the
// first one. All links are then repointed to the new master, without notice to the processes.
func (r *rig) failOver() error {
	if err := r.spare.forget(); err != nil {
		return err
	}
	if err := r.spare.start(); err != nil {
		return err
	}
	if err := r.replication.repoint(r.redis.address); err != nil {
		return err
	}
	if err := r.spare.follow(r.replication.address); err != nil {
		return err
	}
	heal, err := r.replication.poison(toxic{"timeout", down, map[string]int{"timeout": 0}})
	if err != nil {
		return err
	}
	r.between(500*time.Millisecond, 6*time.Second)
	r.redis.kill()
	heal()
	if _, err := r.spare.ask("REPLICAOF", "NO", "ONE"); err != nil {
		return err
	}
	r.redis, r.spare = r.spare, r.redis
	for _, l := range r.network.links {
		if strings.HasSuffix(l.name, " to redis") && l != r.replication {
			if err := l.repoint(r.redis.address); err != nil {
				return err
			}
		}
	}
	return nil
}

// clockFaults set clocks. Redis's is that of the log.
func clockFaults() (out []fault) {
	for _, c := range []struct {
		name    string
		shift   time.Duration
		refused bool // by every server, which counts it
	}{
		{"30 s ahead", 30 * time.Second, false},
		{"1 h behind", -time.Hour, false},
		{"2 min ahead: beyond what servers accept", 2 * time.Minute, true},
		{"25 h behind: beyond what servers accept", -25 * time.Hour, true},
	} {
		out = append(out, fault{
			name: "a source's clock is " + c.name,
			fits: withSources,
			inject: func(r *rig) error {
				before := make([]float64, len(r.servers))
				for i, s := range r.servers {
					before[i] = s.refused()
				}
				s := some(r, r.sources)
				shift := c.shift
				if shift > 0 && c.refused {
					// A log that was once ahead stays so: IDs never go back.
					ahead, err := r.logAhead()
					if err != nil {
						return err
					}
					shift += ahead
				}
				if err := s.say("shift " + shift.String()); err != nil {
					return err
				}
				r.between(time.Second, 3*time.Second)
				if err := s.say("shift 0s"); err != nil {
					return err
				}
				if !c.refused {
					r.back, r.front = max(r.back, -shift), max(r.front, shift)
				}
				for i, s := range r.servers {
					if c.refused && !until(patience, func() bool { return s.refused() > before[i] }) {
						return fmt.Errorf("%s does not count what it has to refuse", s.name)
					}
				}
				return nil
			},
		})
	}
	for _, c := range []struct {
		name  string
		shift time.Duration
	}{{"10 min ahead", 10 * time.Minute}, {"30 s behind", -30 * time.Second}} {
		out = append(out, fault{
			name: "Redis's clock is " + c.name + ", then right again",
			fits: withRedis,
			inject: func(r *rig) error {
				if err := r.redis.bent.clock(c.shift); err != nil {
					return err
				}
				r.ahead = max(r.ahead, c.shift) // the IDs of a log never go back
				r.between(time.Second, 4*time.Second)
				return r.redis.bent.clock(0)
			},
		})
	}
	return out
}
