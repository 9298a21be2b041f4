package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/prometheus/prometheus/tsdb/fileutil"
)

// Replace writes a file of this content in place of path, durably and in one step: no
// reader and no crash sees half of it. A failure leaves path as it was. The caller is the only writer of path: it
// has the directory (Take), or the file (TakeFile).
func Replace(path string, b []byte) error { return replace(path, b, 0o666) }

// ReplacePrivate is Replace for a secret: only the owner of the new file can read it.
func ReplacePrivate(path string, b []byte) error { return replace(path, b, 0o600) }

// replace is Replace. mode is that of the new file, as far as the umask allows it.
func replace(path string, b []byte, mode os.FileMode) error {
	tmp := path + ".tmp"
	// A crash may have left a file there, of another mode. A link is removed, and never followed.
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", tmp, err), os.Remove(tmp))
	}
	return fileutil.Replace(tmp, path)
}

// BootID names the time since the machine was started, or is "" where the system does
// not say.
func BootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// IsFull reports whether err means that the disk, or the user's share of it, has no room
// left.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
