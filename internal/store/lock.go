package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/prometheus/tsdb/fileutil"
)

const (
	lockName    = "LOCK"
	runningName = "running.json"
)

// dirLock is the exclusive use of a data directory. The operating system lets
// go of it when the process ends, however it ends. running.json stays behind
// then: who finds it while LOCK is free knows that the store was not closed.
// They are two files because Windows does not let others read a locked one.
type dirLock struct {
	dir string
	rel fileutil.Releaser
	// clean tells that the owner before closed the store, and rebooted that the
	// machine may have been started since then.
	clean, rebooted bool
}

type running struct {
	PID     int    `json:"pid"`
	Address string `json:"address,omitempty"`
	Boot    string `json:"boot,omitempty"` // of the machine; see bootID
}

// takeDir creates dir where it is missing, locks it, and makes sure of its
// version. Returns a *LockedError when another process, or another Store of
// this one, has it.
func takeDir(dir string) (_ *dirLock, err error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, notWritable(dir, err)
	}
	rel, _, err := fileutil.Flock(filepath.Join(dir, lockName))
	switch {
	case err == nil:
	case lockBusy(err):
		r := readRunning(dir)
		return nil, &LockedError{Dir: dir, PID: r.PID, Address: r.Address}
	default:
		return nil, notWritable(dir, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, rel.Release())
		}
	}()
	// Now that nobody else can write it.
	fresh, err := checkVersion(dir)
	if err != nil {
		return nil, err
	}
	if fresh {
		if err := writeVersion(dir); err != nil {
			return nil, notWritable(dir, err)
		}
	}
	_, err = os.Lstat(filepath.Join(dir, runningName))
	boot := readRunning(dir).Boot
	l := &dirLock{dir: dir, rel: rel, clean: errors.Is(err, os.ErrNotExist), rebooted: boot == "" || boot != bootID()}
	if err := l.setAddress(""); err != nil {
		return nil, notWritable(dir, err)
	}
	return l, nil
}

// setAddress writes running.json. On a disk without any room it stands empty, or as
// it was: that the store was not closed is said by its being there, the rest only
// makes messages more helpful.
func (l *dirLock) setAddress(address string) error {
	b, err := json.Marshal(running{PID: os.Getpid(), Address: address, Boot: bootID()})
	if err != nil {
		return err
	}
	path := filepath.Join(l.dir, runningName)
	err = writeFile(path, append(b, '\n'))
	if isNoRoom(err) {
		f, createErr := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o666)
		if createErr == nil {
			return f.Close()
		}
	}
	return err
}

// release lets go of the directory. running.json stays unless the store was
// closed cleanly; it is removed before the lock, so that it is not the next
// owner's.
func (l *dirLock) release(clean bool) error {
	var err error
	if clean {
		err = os.Remove(filepath.Join(l.dir, runningName))
	}
	return errors.Join(err, l.rel.Release())
}

// bootID names the time since the machine was started, or is "" where that is not
// known.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// readRunning returns the zero value when there is nothing legible: it only
// makes an error message more helpful.
func readRunning(dir string) running {
	var r running
	b, err := os.ReadFile(filepath.Join(dir, runningName))
	if err != nil || json.Unmarshal(b, &r) != nil {
		return running{}
	}
	return r
}

// writeFile replaces path in one step, so that no reader and no crash sees half
// of it.
func writeFile(path string, b []byte) error {
	tmp := path + ".tmp"
	f, err := os.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", tmp, err), os.Remove(tmp))
	}
	return fileutil.Replace(tmp, path)
}
