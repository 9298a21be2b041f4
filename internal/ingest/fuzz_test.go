package ingest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
)

// Whatever a stranger sends, the answer is one of those that docs/HTTP.md lists and
// agrees with what was published.
func FuzzWrite(f *testing.F) {
	good := encode(batch(0, 25*time.Hour))
	for _, s := range [][3]string{{"", "", ""}, {"collect-a", "7", "2"}, {"a b", "1", "0"}, {"a", "1", "1"}, {"a", "-1", "0"}, {"a", "18446744073709551616", "0"}, {"é", "1", "0"},
		{"s", "9007199254740991", "9007199254740990"}, {"s", "9007199254740992", "0"}, {"s", "9223372036854775808", "0"}, {strings.Repeat("s", 129), "1", "0"}} {
		f.Add(s[0], s[1], s[2], good)
	}
	for _, body := range [][]byte{nil, {0}, []byte("\xff\xff\xff\xff\x0f"), encode(batch()), good[:len(good)/2], encode(numbered(1, 9)),
		snappy.Encode(nil, bytes.Repeat([]byte{0x22, 0}, 20_000)), encode(&bus.Batch{Series: []bus.Series{
			{Labels: labels.FromStrings("__name__", "m", "a", ""), Samples: []bus.Sample{{T: time.Now().UnixMilli()}}},
			{Labels: labels.FromStrings("__name__", "m", "a", strings.Repeat("v", 3000)), Samples: []bus.Sample{{T: time.Now().UnixMilli()}}},
			{Labels: labels.FromStrings("__name__", "m"), Samples: []bus.Sample{{T: time.Now().UnixMilli(), V: 2}}},
		}})} {
		f.Add("s", "1", "0", body)
		f.Add("", "", "", body)
	}
	f.Fuzz(func(t *testing.T, source, seq, merged string, body []byte) {
		var p taken
		held := newMemory(0)
		held.held["of another"] = true
		h := handler(t, Options{Publish: p.publish, MaxBody: 1 << 16, MaxDecoded: 1 << 16, Series: held, MaxSeries: 4})
		r := post(body)
		for name, v := range map[string]string{httpbus.HeaderSource: source, httpbus.HeaderSeq: seq, httpbus.HeaderMerged: merged} {
			if v != "" {
				r.Header.Set(name, v)
			}
		}
		w := ask(h, r)
		if !slices.Contains([]int{204, 400, 413}, w.Code) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		code := ""
		if w.Code != 204 {
			code, _ = said(t, w)
		}
		written, err := strconv.Atoi(w.Header().Get(httpbus.HeaderSamplesWritten))
		if err != nil {
			t.Fatal(err)
		}
		published := 0
		for _, b := range p.batches {
			published += b.Samples()
			want := bus.Sequence{Source: source}
			want.Seq, _ = strconv.ParseUint(seq, 10, 64)
			want.Merged, _ = strconv.ParseUint(merged, 10, 64)
			if got := (bus.Sequence{Source: b.Source, Seq: b.Seq, Merged: b.Merged}); got != want {
				t.Fatalf("%+v became %+v", want, got)
			}
			if len(b.Series) > 3 {
				t.Fatalf("%d new series were published where there is room for 3", len(b.Series))
			}
			for _, s := range b.Series {
				if len(s.Samples) == 0 {
					t.Fatal("a series without samples was published")
				}
			}
		}
		if written != published || len(p.batches) > 1 || len(p.batches) == 1 && code != "" && code != "not_all_written" {
			t.Fatalf("%d %s: %d written, %d published in %d batches", w.Code, code, written, published, len(p.batches))
		}
		if writes, held := h.load.held(); writes != 0 || held != 0 {
			t.Fatalf("%d writes and %d bytes have not been given back", writes, held)
		}
		// The same while the bus is away: never an answer that is for good for what
		// would have been written.
		h = handler(t, Options{Publish: func(context.Context, *bus.Batch) error { return errors.New("away") }, MaxBody: 1 << 16, MaxDecoded: 1 << 16})
		r2 := post(body)
		r2.Header = r.Header
		if w := ask(h, r2); published > 0 && w.Code != 503 {
			t.Fatalf("while the bus is away: %d %s", w.Code, w.Body)
		}
	})
}
