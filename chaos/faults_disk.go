package chaos

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// diskFaults fill the disks, which are small and in memory.
func diskFaults() []fault {
	return []fault{{
		name:    "the disk under a server's store is full",
		allowed: []string{recordedAgain},
		fits:    func(r *rig) bool { return r.disks },
		inject: func(r *rig) error {
			began := time.Now()
			defer func() {
				if r.redis == nil {
					// A bus in memory cannot be read again: what its own collector measured
					// meanwhile was shown, and marked as not recorded.
					r.unstored = append(r.unstored, span{began.UnixMilli(), time.Now().Add(unstoredAfter).UnixMilli()})
				}
			}()
			return r.fill(some(r, r.servers).dir, r.someTime)
		},
	}, {
		// The stream goes on meanwhile.
		name: "the disk under a source's spool is full",
		fits: func(r *rig) bool { return r.disks && withSources(r) },
		inject: func(r *rig) error {
			s := some(r, r.sources)
			return r.fill(s.dir, func() error {
				if err := s.holds(); err != nil {
					return err
				}
				return r.streams(s, r.rand.Int64N(4000)+1000)
			})
		},
	}, {
		name: "the disk under a source's spool is full, and Redis is away",
		fits: func(r *rig) bool { return r.disks && withSources(r) && withRedis(r) },
		inject: func(r *rig) error {
			s := some(r, r.onRedis())
			return r.fill(s.dir, func() error {
				heal, err := s.bus.refuse()
				if err != nil {
					return err
				}
				defer heal()
				if err := s.holds(); err != nil {
					return err
				}
				r.between(time.Second, 4*time.Second)
				if r.rand.IntN(2) == 0 { // the disk is back first
					return nil
				}
				heal()
				return r.someTime()
			})
		},
	}, {
		// What the bus had not acknowledged is gone with the process, and in a gap.
		name:    "`kill -9` of a source whose spool's disk is full",
		fits:    func(r *rig) bool { return r.disks && withSources(r) },
		allowed: []string{sourceDropped},
		inject: func(r *rig) error {
			s := some(r, r.sources)
			before := r.rand.IntN(2) == 0
			err := r.fill(s.dir, func() error {
				if err := s.holds(); err != nil {
					return err
				}
				r.between(0, 2*time.Second)
				s.kill()
				if !before {
					return nil
				}
				if err := s.start(); err != nil {
					return err
				}
				return r.streams(s, r.rand.Int64N(2000))
			})
			if before || err != nil {
				return err
			}
			return s.start()
		},
	}}
}

// holds waits until the source holds batches that its disk has not taken.
func (s *sourceProcess) holds() error {
	held := func() int {
		b, _ := os.ReadFile(s.journal) // it is there; the harness has read it
		return bytes.Count(b, []byte("\nh "))
	}
	before := held()
	if !until(patience, func() bool { return held() > before }) {
		return fmt.Errorf("the disk of %s is full, but its spool takes everything, or nothing", s.name)
	}
	return nil
}

// streams watches for a time, in ms, that every viewer of the source goes on being
// sent what it measures.
func (r *rig) streams(s *sourceProcess, takes int64) error {
	names := s.names(r.shape.Series)
	for end := time.Now().UnixMilli() + takes; ; time.Sleep(100 * time.Millisecond) {
		now := time.Now().UnixMilli()
		for _, v := range r.viewers {
			watches := v.query == everySource || v.query == firstSource && s.number == 1
			// The disk stays full as long as this takes.
			if watches && !until(patience, func() bool { live, _ := v.live(names, now); return live }) {
				return fmt.Errorf("%s is sent nothing of %s, whose spool's disk is full", v.name, s.name)
			}
		}
		if now > end {
			return nil
		}
	}
}

// unstoredAfter bounds how long a server goes on without recording after there is
// room again.
const unstoredAfter = 10 * time.Second

// span is a span of time, in Unix ms, both ends included.
type span struct{ from, to int64 }

// someTime is how long a disk stays full.
func (r *rig) someTime() error {
	r.between(2*time.Second, 6*time.Second)
	return nil
}

// fill takes all space of the file system that dir is on, also what becomes free
// meanwhile, and gives it back after while.
func (r *rig) fill(dir string, while func() error) error {
	path := dir + "/filler"
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	taken := int64(0)
	take := func() (bool, error) {
		var fs syscall.Statfs_t
		if err := syscall.Fstatfs(int(f.Fd()), &fs); err != nil {
			return false, err
		}
		n := int64(fs.Bavail) * fs.Bsize
		if n == 0 {
			return true, nil
		}
		// What is free changes: it may be too much by now.
		if err := syscall.Fallocate(int(f.Fd()), 0, taken, n); err != nil {
			return false, err
		}
		taken += n
		return false, nil
	}
	full := false
	if !until(patience, func() bool { full, err = take(); return full }) {
		return fmt.Errorf("fill the disk at %s: %w", dir, cmp.Or(err, errors.New("there is always room")))
	}
	over, kept := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(kept)
		for {
			select {
			case <-over:
				return
			case <-time.After(50 * time.Millisecond):
				_, _ = take() // there will be another time
			}
		}
	}()
	err = while()
	close(over)
	<-kept
	return errors.Join(err, os.Remove(path))
}
