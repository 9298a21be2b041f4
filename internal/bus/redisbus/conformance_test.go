package redisbus

import (
	"fmt"
	"log"
	"os"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"stripchart/internal/bus"
	"stripchart/internal/bus/bustest"
	"stripchart/internal/bus/redisbus/redistest"
)

// shared is one Redis for the tests that only need a stream of their own.
var shared *redistest.Server

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "redisbus")
	if err != nil {
		log.Fatal(err)
	}
	if shared, err = redistest.New(dir, redistest.Options{}); err != nil {
		log.Fatal(err)
	}
	ignore := goleak.IgnoreCurrent()
	code := m.Run()
	if err := goleak.Find(ignore); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	shared.Kill9()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

var streams atomic.Int64

// stream returns a name that no test had.
func stream() string { return fmt.Sprint("test", streams.Add(1)) }

func TestConformance(t *testing.T) {
	bustest.Run(t, func(t *testing.T) bus.Bus {
		b, err := Open(t.Context(), Options{URL: shared.URL, Stream: stream(), QueueBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}
