package datadir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/prometheus/tsdb/fileutil"
)

const (
	lockName    = "LOCK"
	runningName = "running.json"
)

// Owner is the content of running.json.
type Owner struct {
	PID     int    `json:"pid"`               // 0 when unknown
	Address string `json:"address,omitempty"` // URL that the process serves; empty when it serves none
	Boot    string `json:"boot,omitempty"`    // BootID when the process took the directory
}

// BusyError means that another process, or another Lock of this one, has the directory.
type BusyError struct {
	Dir   string
	Owner Owner // the zero value when running.json is missing or not legible
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("directory %s is in use by %s", e.Dir, e.Owner)
}

// String names the process, for messages.
func (o Owner) String() string {
	who := "another process"
	if o.PID != 0 {
		who = fmt.Sprintf("process %d", o.PID)
	}
	if o.Address != "" {
		who += " at " + o.Address
	}
	return who
}

// Lock is the exclusive use of a directory. The operating system releases it when the
// process ends, however it ends.
type Lock struct {
	dir      string
	lock     fileutil.Releaser
	before   Owner
	released bool // by the owner before
}

// Take creates dir where it is missing, and locks it. It changes nothing else in it.
// Returns a *BusyError when dir is locked already.
func Take(dir string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	lock, _, err := fileutil.Flock(filepath.Join(dir, lockName))
	switch {
	case err == nil:
	case isBusy(err):
		return nil, &BusyError{Dir: dir, Owner: readOwner(dir)}
	default:
		return nil, err
	}
	_, err = os.Lstat(filepath.Join(dir, runningName))
	return &Lock{dir: dir, lock: lock, before: readOwner(dir), released: errors.Is(err, fs.ErrNotExist)}, nil
}

// Clean reports whether the owner before called Release(true), or whether there was none.
func (l *Lock) Clean() bool { return l.released }

// Rebooted reports whether the machine may have been started again since the owner
// before took the directory.
func (l *Lock) Rebooted() bool { return l.before.Boot == "" || l.before.Boot != BootID() }

// Announce writes running.json for this process. On a disk without any room the file is
// left empty, or as it was: its presence tells that Release was not called, and its
// content only makes messages more helpful.
func (l *Lock) Announce(address string) error {
	b, err := json.Marshal(Owner{PID: os.Getpid(), Address: address, Boot: BootID()})
	if err != nil {
		return err
	}
	path := filepath.Join(l.dir, runningName)
	err = Replace(path, append(b, '\n'))
	if IsFull(err) {
		f, createErr := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o666)
		if createErr == nil {
			return f.Close()
		}
	}
	return err
}

// Release unlocks the directory. clean removes running.json first, while nobody else can
// have the directory.
func (l *Lock) Release(clean bool) error {
	var err error
	if clean {
		err = os.Remove(filepath.Join(l.dir, runningName))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	return errors.Join(err, l.lock.Release())
}

func readOwner(dir string) (o Owner) {
	b, err := os.ReadFile(filepath.Join(dir, runningName))
	if err != nil || json.Unmarshal(b, &o) != nil {
		return Owner{}
	}
	return o
}

const (
	// fileWait is how long TakeFile waits for whoever has the file, and fileTry how often it looks.
	fileWait = 10 * time.Second
	fileTry  = 10 * time.Millisecond
)

// TakeFile locks a file that several processes read, change and Replace, each for a moment. The lock is on
// FILE.lock, because the file itself is replaced; that file stays. release unlocks it.
func TakeFile(path string) (release func() error, err error) {
	path += ".lock"
	// Of its owner alone: whoever can open it can hold the lock.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	for end := time.Now().Add(fileWait); ; time.Sleep(fileTry) {
		lock, _, err := fileutil.Flock(path)
		switch {
		case err == nil:
			return lock.Release, nil
		case !isBusy(err):
			return nil, err
		case time.Now().After(end):
			return nil, fmt.Errorf("another process has had %s locked for %v; end that process, or try again", path, fileWait)
		}
	}
}
