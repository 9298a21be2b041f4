package recent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stripchart/internal/testkit"
)

// A lock that is held in turns makes progress, and one that is held for ever makes none.
func TestALockThatIsBusyIsNotStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := Lock{held: prometheus.NewHistogram(prometheus.HistogramOpts{})}
		progressed := func() bool { return testkit.Returns(l.AwaitProgress, 10*time.Second) }
		if !progressed() {
			t.Error("no progress while nobody holds the lock")
		}
		l.Lock()
		if progressed() {
			t.Error("progress while the lock is held for ever")
		}
		go func() {
			time.Sleep(3 * time.Second)
			l.holds.Add(1) // one let go of it, and another one has it at once
		}()
		if !progressed() {
			t.Error("no progress while the lock is busy")
		}
		l.Unlock()
		time.Sleep(time.Second) // the one that was stuck goes on
	})
}
