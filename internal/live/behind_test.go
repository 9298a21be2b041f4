package live

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/bus"
)

func TestAServerThatStartsSaysWhatItWaitsForAndHowFarItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const batches = 10
		l := newFakeLog()
		for seq := range uint64(batches) {
			b := &bus.Batch{Sequence: bus.Sequence{Source: "s", Seq: seq + 1}, Series: []bus.Series{{
				Labels: seriesLabels(0, 0), Samples: []bus.Sample{{T: time.Now().UnixMilli(), V: 1}},
			}}}
			if err := l.Publish(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		l.away.Store(true)
		l.slow.Store(int64(time.Second))

		var log bytes.Buffer // written to by Run alone
		h, err := New(Options{
			Bus: l, Store: newMemStore(), Transport: fakeTransport{}, DefaultSeries: "m", Replica: true,
			Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() {
			if err := h.Run(ctx); err != nil {
				t.Error(err)
			}
		})

		time.Sleep(time.Minute)
		if behind, known := h.Behind(); known || h.IsReady() {
			t.Errorf("without a bus it is %v behind", behind)
		}
		l.away.Store(false)
		var said []time.Duration
		for range 3 * batches {
			time.Sleep(time.Second)
			synctest.Wait()
			if behind, known := h.Behind(); known && (len(said) == 0 || behind != said[len(said)-1]) {
				said = append(said, behind)
			}
		}
		// One batch a second, of batches a second apart, after the first.
		var want []time.Duration
		for left := batches - 1; left >= 0; left-- {
			want = append(want, time.Duration(left)*time.Second)
		}
		if !slices.Equal(said, want) || !h.IsReady() {
			t.Errorf("it said %v, want %v", said, want)
		}
		cancel()
		run.Wait()
		h.Close()
		for _, line := range []string{"the bus is away", "the bus is there"} {
			if n := strings.Count(log.String(), line); n != 1 {
				t.Errorf("%d times %q:\n%s", n, line, &log)
			}
		}
	})
}
