package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/prometheus/prometheus/tsdb/fileutil"
)

const (
	lockName    = "LOCK"
	runningName = "running.json"
)

// dirLock is the exclusive use of a data directory. The operating system lets
// go of it when the process ends, however it ends; running.json may outlive
// its writer and means something only while LOCK is locked. They are two files
// because Windows does not let others read a locked one.
type dirLock struct {
	dir string
	rel fileutil.Releaser
}

type running struct {
	PID     int    `json:"pid"`
	Address string `json:"address,omitempty"`
}

// lockDir returns a *LockedError when another process, or another Store of this
// one, has dir.
func lockDir(dir string) (*dirLock, error) {
	rel, _, err := fileutil.Flock(filepath.Join(dir, lockName))
	if err != nil {
		if lockBusy(err) {
			r := readRunning(dir)
			return nil, &LockedError{Dir: dir, PID: r.PID, Address: r.Address}
		}
		return nil, err
	}
	l := &dirLock{dir: dir, rel: rel}
	if err := l.setAddress(""); err != nil {
		return nil, errors.Join(err, rel.Release())
	}
	return l, nil
}

func (l *dirLock) setAddress(address string) error {
	b, err := json.Marshal(running{PID: os.Getpid(), Address: address})
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(l.dir, runningName), append(b, '\n'))
}

// release removes running.json before the lock, so that the next owner's is
// not removed.
func (l *dirLock) release() error {
	return errors.Join(os.Remove(filepath.Join(l.dir, runningName)), l.rel.Release())
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
