package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"stripchart/internal/datadir"
)

const (
	versionName = "VERSION"
	// formatVersion is the layout of the data directory that this code writes; it reads
	// every one before, too. It grows when an older stripchart could no longer read what
	// is written. Format 2 has notes with a checksum, in two copies, and gaps.json in
	// sets of series.
	formatVersion = 2
)

var errNoVersion = errors.New("data directory has no legible version")

// checkVersion reads VERSION and changes nothing. It returns no error where this code reads
// the version, and where VERSION is missing: then fresh is true.
func checkVersion(dir string) (fresh bool, err error) {
	path := filepath.Join(dir, versionName)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case errors.Is(err, errNotDir): // the way to dir, or dir, is a file
		return false, notWritable(dir, err)
	case err != nil && !isDir(path):
		return false, err
	}
	v, err := strconv.Atoi(strings.TrimSpace(string(b)))
	switch {
	case err != nil || v < 1:
		return false, fmt.Errorf("%w: %s does not hold a version number. If the directory is stripchart's, put a file with the number %d in its place; otherwise choose another with --data-dir", errNoVersion, path, formatVersion)
	case v > formatVersion:
		return false, fmt.Errorf("%w: %s has format %d, this program knows up to %d; update stripchart or choose another directory with --data-dir",
			ErrNewerVersion, dir, v, formatVersion)
	}
	return false, nil
}

// raiseVersion makes older versions of stripchart refuse dir. It is called before the first
// write that an older version cannot read; until then a downgrade is possible.
func raiseVersion(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, versionName))
	if v, verr := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && verr == nil && v == formatVersion {
		return nil
	}
	return writeVersion(dir)
}

func writeVersion(dir string) error {
	return datadir.Replace(filepath.Join(dir, versionName), fmt.Appendf(nil, "%d\n", formatVersion))
}
