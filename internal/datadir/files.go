package datadir

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/prometheus/prometheus/tsdb/fileutil"
)

// Replace writes a file of this content in place of path, durably and in one step: no
// reader and no crash sees half of it. A failure leaves path as it was.
func Replace(path string, b []byte) error {
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
