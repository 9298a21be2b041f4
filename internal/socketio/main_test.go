package socketio

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if spec := os.Getenv("SOCKETIO_BENCH_SERVER"); spec != "" {
		benchServer(spec)
		return
	}
	goleak.VerifyTestMain(m)
}
