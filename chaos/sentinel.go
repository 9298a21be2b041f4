package chaos

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"stripchart/internal/bus/redisbus/redistest"
)

// masterName is what sentinels call the rig's Redis.
const masterName = "chaos"

// addSentinels makes the spare Redis a replica of the first, and has three sentinels watch both. A
// program that asks the sentinels connects to Redis directly, without a link.
func (r *rig) addSentinels() error {
	if err := r.spare.start(); err != nil {
		return err
	}
	if err := r.spare.follow(r.redis.address); err != nil {
		return err
	}
	binary, err := redistest.Program()
	if err != nil {
		return err
	}
	host, port, _ := net.SplitHostPort(r.redis.address)
	for n := range 3 {
		name := fmt.Sprint("sentinel", n+1)
		address, err := freeAddress()
		if err != nil {
			return err
		}
		_, own, _ := net.SplitHostPort(address)
		conf := filepath.Join(r.dir, name+".conf") // which it rewrites
		lines := []string{
			"port " + own, "bind " + loopback, "protected-mode no", "sentinel announce-ip " + loopback, "dir " + r.dir,
			"sentinel monitor " + masterName + " " + host + " " + port + " 2",
			"sentinel down-after-milliseconds " + masterName + " 1000",
			"sentinel failover-timeout " + masterName + " 3000",
		}
		if err := os.WriteFile(conf, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			return err
		}
		s := &redis{process: &process{name: name, log: r.logOf(name), bin: binary, args: []string{conf, "--sentinel"}}, address: address}
		r.sentinels = append(r.sentinels, s)
		if err := s.start(); err != nil {
			return err
		}
	}
	if !until(patience, func() bool {
		return !slices.ContainsFunc(r.sentinels, func(s *redis) bool {
			known, err := s.ask("SENTINEL", "MASTER", masterName)
			return err != nil || !strings.Contains(known, "num-other-sentinels\n2\n") || !strings.Contains(known, "num-slaves\n1\n")
		})
	}) {
		return errors.New("the sentinels do not know each other and the replica")
	}
	return nil
}

// throughSentinels is the --bus flag of a program that asks the sentinels.
func (r *rig) throughSentinels() []string {
	url := "redis+sentinel://" + r.sentinels[0].address + "/0?master_name=" + masterName
	for _, s := range r.sentinels[1:] {
		url += "&addr=" + s.address
	}
	return []string{"--bus", url}
}

// sentinelFaults make sentinels promote the replica.
func sentinelFaults() []fault {
	withSentinels := func(r *rig) bool { return r.sentinels != nil }
	return []fault{{
		name:  "`kill -9` of the master, sentinels promote its replica",
		loses: true,
		fits:  withSentinels,
		inject: func(r *rig) error {
			old := r.redis
			return r.promoted(func() error { old.kill(); return nil }, old.start)
		},
	}, {
		// When the paused master goes on, it is still the master for every program that did not leave
		// it.
		name:  "the master is paused (SIGSTOP), sentinels promote its replica",
		loses: true,
		fits:  withSentinels,
		inject: func(r *rig) error {
			old := r.redis
			return r.promoted(
				func() error { return old.signal(syscall.SIGSTOP) },
				func() error { return old.signal(syscall.SIGCONT) })
		},
	}, {
		name:  "planned failover by sentinels",
		loses: true,
		fits:  withSentinels,
		inject: func(r *rig) error {
			return r.promoted(func() (err error) {
				s := some(r, r.sentinels)
				if !until(patience, func() bool {
					_, err = s.ask("SENTINEL", "FAILOVER", masterName)
					return err == nil
				}) {
					return err
				}
				return nil
			}, func() error { return nil })
		},
	}, {
		name: "`kill -9` of one of three sentinels",
		fits: withSentinels,
		inject: func(r *rig) error {
			s := some(r, r.sentinels)
			s.kill()
			r.between(time.Second, 4*time.Second)
			return s.start()
		},
	}}
}

// promoted hurts the master, waits until the sentinels have made its replica the
// master, heals the old one, and waits until they have made that a replica.
func (r *rig) promoted(hurt, heal func() error) error {
	old, next := r.redis, r.spare
	if err := hurt(); err != nil {
		return err
	}
	host, port, _ := net.SplitHostPort(next.address)
	if !until(patience, func() bool {
		return !slices.ContainsFunc(r.sentinels, func(s *redis) bool {
			at, err := s.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", masterName)
			return err != nil || strings.Join(strings.Fields(at), ":") != host+":"+port
		})
	}) {
		return errors.New("the sentinels do not promote " + next.name)
	}
	r.redis, r.spare = next, old
	r.between(0, 5*time.Second)
	if err := heal(); err != nil {
		return err
	}
	if !until(patience, func() bool {
		info, err := old.ask("INFO", "replication")
		return err == nil && strings.Contains(info, "master_port:"+port) && strings.Contains(info, "master_link_status:up")
	}) {
		return errors.New(old.name + " does not become a replica of " + next.name)
	}
	return nil
}
