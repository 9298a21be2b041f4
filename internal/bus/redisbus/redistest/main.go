package redistest

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Main is the TestMain of a package whose tests share one server, which it starts before
// them as *shared. It fails when the tests leave a goroutine behind.
func Main(m *testing.M, shared **Server) {
	os.Exit(run(m, shared))
}

func run(m *testing.M, shared **Server) (code int) {
	dir, err := os.MkdirTemp("", "redistest")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if *shared, err = New(dir, Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer (*shared).Kill9()
	ignore := goleak.IgnoreCurrent()
	code = m.Run()
	if err := goleak.Find(ignore); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}
