package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
	"stripchart/internal/bus/rw"
)

// nameless is the number of the writer whose batches have no numbers: plain remote
// write, as a Prometheus sends it.
const nameless = 90

// writer publishes over HTTP without numbers. Every series is measured at each tick. For
// a while, now and then, it delivers nothing, and then what has gathered, oldest first.
// Beside good samples it sends what must be refused, second values of what was
// acknowledged, and labels with an empty value.
type writer struct {
	link   *link
	series int
	rand   *rand.Rand
	client http.Client

	mu      sync.Mutex // guards what follows
	account account
	times   []int64 // acknowledged
	counts  counts
	broken  error // the server broke docs/HTTP.md
}

func newWriter(l *link, series int, random *rand.Rand) *writer {
	return &writer{
		link: l, series: series, rand: random, client: http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{}}, counts: counts{},
		account: account{sent: map[int64]int64{}, spooled: map[int64]uint64{}, bus: map[uint64]bool{1: true}},
	}
}

// write writes until ctx ends.
func (w *writer) write(ctx context.Context) {
	defer w.client.CloseIdleConnections()
	var gathered []int64
	last := int64(0)
	var away time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(2 * tick * time.Millisecond):
		}
		if t := time.Now().UnixMilli() / tick * tick; t > last {
			gathered, last = append(gathered, t), t
		}
		if time.Now().Before(away) {
			continue
		}
		if len(gathered) > 100 {
			w.count("backlogs delivered without numbers", 1)
		}
		for len(gathered) > 0 && ctx.Err() == nil {
			n := min(len(gathered), 1+w.rand.IntN(40))
			w.deliver(ctx, gathered[:n])
			gathered = gathered[n:]
		}
		if w.rand.IntN(60) == 0 {
			away = time.Now().Add(time.Duration(1+w.rand.IntN(20)) * time.Second)
		}
	}
}

func (w *writer) count(what string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what] += n
}

// deliver sends the samples of the times until they are acknowledged.
func (w *writer) deliver(ctx context.Context, times []int64) {
	now := time.Now().UnixMilli()
	w.mu.Lock()
	for _, t := range times {
		w.account.sent[t] = now
	}
	w.mu.Unlock()
	b, refused := w.batch(times, now)
	if !w.insist(ctx, rw.Encode(b), b.Samples(), refused) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range times {
		w.account.spooled[t] = 1
	}
	w.times = append(w.times, times...)
}

// insist posts the body until it need not be sent again. It returns false when ctx has ended before.
func (w *writer) insist(ctx context.Context, body []byte, samples, refused int) bool {
	for {
		done, err := w.post(ctx, body, samples, refused)
		if err != nil {
			w.mu.Lock()
			w.broken = errors.Join(w.broken, err)
			w.mu.Unlock()
		}
		if done {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// failure returns how the server broke the document, once.
func (w *writer) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.broken
	w.broken = nil
	return err
}

// batch returns the samples of the times, and others beside them, of which so many
// must be refused.
func (w *writer) batch(times []int64, now int64) (b *bus.Batch, refused int) {
	b = &bus.Batch{}
	for k := range w.series {
		var samples []bus.Sample
		for _, t := range times {
			samples = append(samples, bus.Sample{T: t, V: valueAt(nameless, k, t)})
		}
		if w.rand.IntN(20) == 0 {
			samples = append(samples, bus.Sample{T: now + 400_000, V: -1})
			refused++
		}
		w.mu.Lock()
		if n := len(w.times); n > 0 && w.rand.IntN(20) == 0 {
			if t := w.times[max(0, n-1-w.rand.IntN(200))]; t < times[0] {
				samples = slices.Insert(samples, 0, bus.Sample{T: t, V: valueAt(nameless, k, t) + 1})
				w.counts["second values"]++
			}
		}
		w.mu.Unlock()
		if w.rand.IntN(20) == 0 {
			samples = slices.Insert(samples, 0, bus.Sample{T: now - 30*3600*1000, V: -1})
			refused++
		}
		ls := seriesOf(nameless, k)
		if w.rand.IntN(5) == 0 {
			ls = withEmpty(ls)
			w.count("labels with an empty value", 1)
		}
		b.Series = append(b.Series, bus.Series{Labels: ls, Samples: samples})
	}
	w.count("samples without numbers", b.Samples())
	w.count("samples that must be refused", refused)
	return b, refused
}

// withEmpty adds a label with an empty value, which is as none.
func withEmpty(ls labels.Labels) labels.Labels {
	b := labels.NewScratchBuilder(4)
	ls.Range(func(l labels.Label) { b.Add(l.Name, l.Value) })
	b.Add("empty", "")
	b.Sort()
	return b.Labels()
}

// post reports whether the batch needs not to be sent again. The error is of a server
// that does not answer as docs/HTTP.md says.
func (w *writer) post(ctx context.Context, body []byte, samples, refused int) (done bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+w.link.address+"/api/v1/write", bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	r.Header.Set("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
	r.Header.Set("Content-Encoding", httpbus.ContentEncoding)
	resp, err := w.client.Do(r)
	if err != nil {
		return false, nil // it may have arrived
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(resp.Body)
	written, _ := strconv.Atoi(resp.Header.Get(httpbus.HeaderSamplesWritten))
	switch code := resp.StatusCode; {
	case code == http.StatusNoContent && refused == 0, code == http.StatusBadRequest && strings.Contains(string(said), "not_all_written") && refused > 0:
		if written != samples-refused {
			err = fmt.Errorf("of %d samples %d are to be refused, but %d were written: %d %s", samples, refused, written, code, said)
		}
		return true, err
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable, code == http.StatusInsufficientStorage:
		return false, nil
	default:
		return true, fmt.Errorf("a write of %d samples, of which %d are to be refused, was answered %d %s", samples, refused, code, said)
	}
}

// truths returns what is known of the writer's series. The function possible looks at the writer when
// it is called, because the writer goes on, also with samples that it has measured long ago.
func (w *writer) truths() map[string]truth {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := &account{sent: maps.Clone(w.account.sent), spooled: maps.Clone(w.account.spooled), bus: w.account.bus}
	out := a.truths(nameless, w.series)
	for name, of := range out {
		of.possible = func(t int64) bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			_, ok := w.account.sent[t]
			return ok
		}
		of.second = func(t int64, v float64) bool { first, _ := of.value(t); return v == first+1 }
		out[name] = of
	}
	return out
}
