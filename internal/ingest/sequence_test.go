package ingest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	writev2 "github.com/prometheus/client_golang/exp/api/remote/genproto/v2"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
)

// A number that was made up would have the real source's next batches taken for
// copies: acknowledged, and dropped.
func TestANumberThatCannotBeNextIsRefusedAndHealsByItself(t *testing.T) {
	var p taken
	h := handler(t, Options{Publish: p.publish, Heard: func(source string) (uint64, time.Time, bool) {
		return 5000, time.Now().Add(-time.Hour), source == "known"
	}})
	const after = 5000 + jumpAtOnce + 3600*jumpPerSecond
	for _, c := range []struct {
		source      string
		seq, merged uint64
		code        string
	}{
		{"known", 5001, 0, ""},
		{"known", 4000, 0, ""},                   // sent again, or restored from a backup
		{"known", 5000 + 3600*20, 0, ""},         // an hour of which nothing came, at 20 a second
		{"known", 5000 + 3600*20, 3600 * 20, ""}, // the same, as one
		{"known", after - 2*jumpPerSecond, 0, ""},
		{"known", after + 10*jumpPerSecond, 0, "sequence_jump"},
		{"known", bus.MaxSeq, 0, "sequence_jump"},
		{"known", bus.MaxSeq, bus.MaxSeq - 1, "sequence_jump"}, // which claims all numbers before
		{"known", bus.MaxSeq + 1, 0, "bad_sequence"},
		{"known", 1 << 63, 0, "bad_sequence"},
		{"known", math.MaxUint64, 0, "bad_sequence"},
		{"new", 1, 0, ""},
		{"new", bus.MaxSeq, 0, ""}, // it may have begun anywhere
	} {
		had := len(p.batches)
		w := ask(h, post(encode(batch(0)), httpbus.HeaderSource, c.source, httpbus.HeaderSeq, fmt.Sprint(c.seq), httpbus.HeaderMerged, fmt.Sprint(c.merged)))
		code := ""
		if w.Code != 204 {
			code, _ = said(t, w)
		}
		if code != c.code || (len(p.batches) > had) != (c.code == "") {
			t.Errorf("%s %d (%d merged): %d %s, %d published", c.source, c.seq, c.merged, w.Code, code, len(p.batches)-had)
		}
		if again := w.Header().Get("Retry-After") != ""; again != (c.code == "sequence_jump") {
			t.Errorf("%s %d: a source is told to try again: %v", c.source, c.seq, again)
		}
	}
}

// To a source a batch of which samples were refused is done with: its number is in the
// log, and what is good of it.
func TestASourceLearnsThatABatchWasWrittenInPart(t *testing.T) {
	w := newWay(t, Options{}, nil)
	// What a codec of strangers sends: a label that is not valid, an exemplar.
	w.encode = func(b *bus.Batch) []byte {
		r := request(b)
		r.Timeseries[0].Exemplars = []*writev2.Exemplar{{}}
		r.Timeseries = append(r.Timeseries, &writev2.TimeSeries{LabelsRefs: []uint32{1}, Samples: r.Timeseries[0].Samples})
		return compress(r)
	}
	for seq := uint64(1); seq <= 3; seq++ {
		err := w.publisher.Publish(t.Context(), sequenced("s", seq, 0, 0))
		if !errors.Is(err, bus.ErrNotAllWritten) || errors.Is(err, bus.ErrRefused) || !strings.Contains(err.Error(), "1 invalid_labels (the first: series 1: ") {
			t.Fatalf("batch %d: %v", seq, err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.applied) != 3 || w.copies != 0 || w.applied[2].Seq != 3 || w.applied[2].Samples() != 1 {
		t.Errorf("%d applied, %d copies", len(w.applied), w.copies)
	}
}
