package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/tsdb/fileutil"
)

// lockDir creates dir where it is missing and locks it against other processes
// and other Spools. The operating system lets go of the lock when the process
// ends, however it ends. The owner's id is in a file of its own because Windows
// does not let others read a locked one.
func lockDir(dir string) (release func() error, err error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("create spool: %w", err)
	}
	owner := filepath.Join(dir, "owner")
	lock, _, err := fileutil.Flock(filepath.Join(dir, "LOCK"))
	if err != nil {
		if !lockBusy(err) {
			return nil, fmt.Errorf("lock spool: %w; it needs a directory that this user may write", err)
		}
		who := "another process"
		if b, err := os.ReadFile(owner); err == nil && len(b) > 0 {
			who = "process " + strings.TrimSpace(string(b))
		}
		return nil, fmt.Errorf("the spool in %s is in use by %s: stop that one, or choose another directory for this one", dir, who)
	}
	// It only makes an error message more helpful: a full disk must not keep a
	// collector from starting.
	_ = os.WriteFile(owner, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o666)
	return func() error {
		err := os.Remove(owner)
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return errors.Join(err, lock.Release())
	}, nil
}
