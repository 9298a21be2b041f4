package chaos

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// shim.c is in a folder without Go files, so that the go command does not compile it with cgo.
//
//go:embed shim/shim.c
var shimSource []byte

// buildShim compiles the library that bends Redis's clock and disk, and returns
// its path.
func buildShim(dir string) (string, error) {
	source, library := filepath.Join(dir, "shim.c"), filepath.Join(dir, "shim.so")
	if err := os.WriteFile(source, shimSource, 0o644); err != nil {
		return "", err
	}
	compiler := os.Getenv("CC")
	if compiler == "" {
		compiler = "cc"
	}
	if out, err := exec.Command(compiler, "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl").CombinedOutput(); err != nil {
		return "", fmt.Errorf("compile the shim for Redis's clock: %w\n%s", err, out)
	}
	return library, nil
}

// bend is what the shim does to one Redis: the file that it looks at.
type bend struct{ path string }

func newBend(path string) (*bend, error) {
	b := &bend{path}
	if err := os.WriteFile(path, make([]byte, 16), 0o644); err != nil {
		return nil, err
	}
	return b, nil
}

// clock sets how far ahead the wall clock is.
func (b *bend) clock(ahead time.Duration) error { return b.set(0, ahead) }

// flush sets how long each flush to disk takes in addition.
func (b *bend) flush(takes time.Duration) error { return b.set(8, takes) }

func (b *bend) set(offset int64, d time.Duration) error {
	f, err := os.OpenFile(b.path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(d.Microseconds())), offset)
	return err
}
