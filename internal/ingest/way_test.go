package ingest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
	"stripchart/internal/bus/membus"
)

// way is everything between a source and a reader of the log: a publisher, a
// real server with the door, the bus in memory, and an apply that skips the
// copies of what it has seen.
type way struct {
	publisher *httpbus.Publisher
	encode    func(*bus.Batch) []byte // the publisher's; nil: encode

	mu      sync.Mutex
	seen    map[string]uint64 // newest Seq by source
	applied []*bus.Batch
	copies  int
}

// newWay builds a way; around, which may be nil, stands before the door.
func newWay(t *testing.T, o Options, around func(http.Handler) http.Handler) *way {
	t.Helper()
	w := &way{seen: map[string]uint64{}}
	log := membus.New(membus.Options{})
	tail := make(chan error)
	go func() {
		tail <- log.Tail(context.Background(), bus.Position{}, func(d bus.Delivery) error {
			w.apply(d.Batch)
			d.Done(nil)
			return nil
		})
	}()
	o.Publish = log.Publish
	var h http.Handler = handler(t, o)
	if around != nil {
		h = around(h)
	}
	mux := http.NewServeMux()
	mux.Handle("/below"+httpbus.WritePath, http.StripPrefix("/below", h))
	s := httptest.NewServer(mux)
	var err error
	w.publisher, err = httpbus.New(httpbus.Options{URL: s.URL + "/below/", Encode: func(b *bus.Batch) []byte {
		if w.encode != nil {
			return w.encode(b)
		}
		return encode(b)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.publisher.Close()
		s.Close()
		log.Close()
		if err := <-tail; !errors.Is(err, bus.ErrClosed) {
			t.Errorf("the reader ended with %v", err)
		}
	})
	return w
}

func (w *way) apply(b *bus.Batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if b.Seq > 0 && b.Seq <= w.seen[b.Source] {
		w.copies++
		return
	}
	w.seen[b.Source] = b.Seq
	w.applied = append(w.applied, b)
}

func TestBatchesArriveAsTheirSourceMadeThem(t *testing.T) {
	w := newWay(t, Options{}, nil)
	for seq := uint64(1); seq <= 20; seq++ {
		if err := w.publisher.Publish(t.Context(), sequenced("collect-a", seq*2, 1, 0, 30*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.publisher.Publish(t.Context(), batch(0)); err != nil {
		t.Errorf("without a sequence: %v", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.applied) != 21 {
		t.Fatalf("%d batches", len(w.applied))
	}
	for i, b := range w.applied[:20] {
		if b.Source != "collect-a" || b.Seq != uint64(i+1)*2 || b.Merged != 1 || b.Samples() != 2 || b.Series[1].Samples[0].V != 1 {
			t.Errorf("batch %d: %+v", i, b)
		}
	}
	if b := w.applied[20]; b.Source != "" || b.Seq != 0 || b.Merged != 0 {
		t.Errorf("without a sequence: %+v", b)
	}
}

func TestReplyLostAfterTheBatchWasCarriedOutCostsNothing(t *testing.T) {
	var lose atomic.Bool
	w := newWay(t, Options{}, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !lose.Swap(false) {
				h.ServeHTTP(w, r)
				return
			}
			h.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler) // the connection breaks before the answer
		})
	})
	b := func(seq uint64) *bus.Batch { return sequenced("s", seq, 0, time.Duration(seq)*time.Second) }
	if err := w.publisher.Publish(t.Context(), b(1)); err != nil {
		t.Fatal(err)
	}
	lose.Store(true)
	err := w.publisher.Publish(t.Context(), b(2))
	if err == nil || errors.Is(err, bus.ErrRefused) {
		t.Fatalf("a lost reply: %v; want an error after which a source tries again", err)
	}
	for _, seq := range []uint64{2, 3} {
		if err := w.publisher.Publish(t.Context(), b(seq)); err != nil {
			t.Fatal(err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.applied) != 3 || w.copies != 1 {
		t.Errorf("%d applied, %d copies; want 3 and 1", len(w.applied), w.copies)
	}
}

func TestWhatThePublisherIsToldOfTheDisk(t *testing.T) {
	var full error
	w := newWay(t, Options{Writable: func() error { return full }}, nil)
	full = errors.New("disk is full")
	err := w.publisher.Publish(t.Context(), sequenced("s", 1, 0, 0))
	if err == nil || errors.Is(err, bus.ErrNotStored) || errors.Is(err, bus.ErrRefused) {
		t.Errorf("%v: the batch was not shown, and is to be tried again", err)
	}
}

// request headers of a raw request whose body is said to have n bytes.
func rawHead(n int) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Encoding: snappy\r\nContent-Length: %d\r\n\r\n", httpbus.WritePath, httpbus.ContentType, n)
}

func TestBodyThatDoesNotArriveLosesItsPlace(t *testing.T) {
	var p taken
	h := handler(t, Options{Publish: p.publish, ReadTimeout: 100 * time.Millisecond})
	s := httptest.NewServer(h)
	defer s.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	if _, err := io.WriteString(conn, rawHead(1000)+"x"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	answer, err := http.ReadResponse(in, nil)
	if err != nil || answer.StatusCode != 503 {
		t.Fatalf("%v, %v", answer, err)
	}
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Error(err)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("the connection stays open: %v", err)
	}
	if writes, _ := h.load.held(); writes != 0 {
		t.Errorf("%d writes are still held", writes)
	}
}

// A refusal before the body is read must not leave the server waiting for it.
func TestBodyThatIsNotWantedDoesNotKeepTheConnection(t *testing.T) {
	s := httptest.NewServer(handler(t, Options{ReadTimeout: 100 * time.Millisecond, Writable: func() error { return errors.New("full") }}))
	defer s.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	if _, err := io.WriteString(conn, rawHead(1000)+"x"); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("after %q: %v", b, err)
	}
}

// The deadline for the body must not end a request whose bus is slow.
func TestBusMayTakeLongerThanTheBody(t *testing.T) {
	w := newWay(t, Options{ReadTimeout: time.Second}, func(h http.Handler) http.Handler {
		slow := h.(*Endpoint)
		publish := slow.o.Publish
		slow.o.Publish = func(ctx context.Context, b *bus.Batch) error {
			select {
			case <-time.After(1500 * time.Millisecond):
				return publish(ctx, b)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return slow
	})
	for seq := uint64(1); seq <= 2; seq++ { // the second over the same connection
		if err := w.publisher.Publish(t.Context(), sequenced("s", seq, 0, 0)); err != nil {
			t.Error(err)
		}
	}
}

func TestBusThatDoesNotAnswerIsGivenUp(t *testing.T) {
	h := handler(t, Options{PublishTimeout: 20 * time.Millisecond, Publish: func(ctx context.Context, _ *bus.Batch) error {
		<-ctx.Done()
		return ctx.Err()
	}})
	if w := ask(h, post(encode(batch(0)))); w.Code != 503 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
