package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/gzip"

	"stripchart/internal/bus"
)

// pushTo sends lines as curl -d does.
func pushTo(h *Endpoint, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "http://127.0.0.1:5000"+PushPath+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return ask(h, r)
}

func answered(t testing.TB, w *httptest.ResponseRecorder) (p pushed) {
	t.Helper()
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("%d %q: %v", w.Code, w.Body, err)
	}
	return p
}

// held writes a batch: each series, and its samples with times relative to now.
func held(batches []*bus.Batch, now time.Time) string {
	var all []string
	for _, b := range batches {
		for _, s := range b.Series {
			line := s.Labels.String()
			for _, x := range s.Samples {
				line += fmt.Sprintf(" %v@%d", x.V, x.T-now.UnixMilli())
			}
			all = append(all, line)
		}
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

func gzipOf(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s)) // into memory
	_ = z.Close()
	return b.String()
}

// What cannot be taken is named line by line, and costs what stands beside it nothing.
func TestLinesArePushed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		at := func(d time.Duration) string { return fmt.Sprintf("%.3f", float64(now.Add(d).UnixMilli())/1000) }
		many := strings.Repeat("abc\n", 150)
		for _, c := range []struct {
			name, path, body string
			header           []string
			status           int
			code             string
			written          int
			held             string
			refused          []string // line, reason, words
		}{
			{"a number", "room", "21.5", nil, 200, "", 1, `{__name__="room"} 21.5@0`, nil},
			{"labels", "room?room=lab&floor=2&empty=", "21.5\n", nil, 200, "", 1, `{__name__="room", floor="2", room="lab"} 21.5@0`, nil},
			{"several, CRLF, blank lines", "m", "1\r\n\r\n2\n\n 3 \n", nil, 200, "", 3, `{__name__="m"} 1@-2 2@-1 3@0`, nil},
			{"with times, unsorted", "m", at(-time.Second) + " 2\n" + at(-2*time.Second) + " 1\n", nil, 200, "", 2, `{__name__="m"} 1@-2000 2@-1000`, nil},
			{"pairs", "m?a=b", "x=1 y=2", nil, 200, "", 2, `{__name__="m_x", a="b"} 1@0` + "\n" + `{__name__="m_y", a="b"} 2@0`, nil},
			{"JSON", "m", `{"t":21.5,"id":"x"}`, nil, 200, "", 1, `{__name__="m_t"} 21.5@0`, nil},
			{"gzip", "m", gzipOf("1\n2"), []string{"Content-Encoding", "gzip"}, 200, "", 2, `{__name__="m"} 1@-1 2@0`, nil},
			{"NaN and the infinities", "m", "NaN\n+Inf\n-Inf", nil, 200, "", 3, `{__name__="m"} NaN@-2 +Inf@-1 -Inf@0`, nil},
			{"odd characters", "r%C3%A4um%20%22x%22?%C3%BC=%00", "1", nil, 200, "", 1, `{__name__="räum \"x\"", "ü"="\x00"} 1@0`, nil},
			{"a copy in the request", "m", at(0) + " 1\n" + at(0) + " 1\n", nil, 200, "", 1, `{__name__="m"} 1@0`, nil},

			{"malformed", "m", "1\nabc\n2\n12,5", nil, 400, "not_all_written", 2, `{__name__="m"} 1@-1 2@0`, []string{`2 unreadable "abc" is not a number`, `4 unreadable "12,5" is not a number; write a point`}},
			{"a bad pair", "m", "x=1 y=z", nil, 400, "not_all_written", 1, `{__name__="m_x"} 1@0`, []string{`1 unreadable "y": "z"`}},
			{"a value of the wrong type", "m", `{"a":true}` + "\n1", nil, 400, "not_all_written", 1, `{__name__="m"} 1@0`, []string{"1 unreadable the JSON object has no number"}},
			{"JSON over two lines", "m", "{\"a\":\n1}\n5", nil, 400, "not_all_written", 1, `{__name__="m"} 5@0`, []string{"1 unreadable not a JSON object on one line", "2 unreadable"}},
			{"a huge number", "m", "1e999\n1", nil, 400, "not_all_written", 1, `{__name__="m"} 1@0`, []string{"1 unreadable"}},
			{"too old", "m", at(-25*time.Hour) + " 1\n2", nil, 400, "not_all_written", 1, `{__name__="m"} 2@0`, []string{"1 too_old 1999-12-30T23:00:00.000Z lies more than 24h0m0s back"}},
			{"far future", "m", at(2*time.Minute) + " 1\n2", nil, 400, "not_all_written", 1, `{__name__="m"} 2@0`, []string{"1 too_new"}},
			{"late", "m", "2\n" + at(-23*time.Hour) + " 1", nil, 200, "", 2, `{__name__="m"} 1@-82800000 2@0`, nil},
			{"duplicate", "m", at(0) + " 1\n" + at(-time.Second) + " 2\n" + at(0) + " 3", nil, 400, "not_all_written", 2, `{__name__="m"} 2@-1000 1@0`, []string{"3 duplicate there is another value at 2000-01-01"}},
			{"an invalid key", "m", `{"` + strings.Repeat("k", 3000) + `":1,"b":2}`, nil, 400, "not_all_written", 1, `{__name__="m_b"} 2@0`, []string{`1 invalid_labels label "__name__": its value has 3002 bytes`}},
			{"more lines than are listed", "m", many + "1", nil, 400, "not_all_written", 1, `{__name__="m"} 1@0`, []string{`100 unreadable`, `0 unreadable line 1: "abc"`}},
			{"nothing but garbage", "m", "abc", nil, 400, "not_all_written", 0, "", []string{`1 unreadable`}},

			{"empty", "m", "", nil, 400, "empty", 0, "", nil},
			{"blank", "m", "\n \r\n", nil, 400, "empty", 0, "", nil},
			{"no name", "", "1", nil, 404, "not_found", 0, "", nil},
			{"a path behind the name", "m/x", "1", nil, 404, "not_found", 0, "", nil},
			{"the name as a label", "m?__name__=x", "1", nil, 400, "bad_request", 0, "", nil},
			{"an empty label name", "m?=x", "1", nil, 400, "bad_request", 0, "", nil},
			{"a label twice", "m?a=1&a=2", "1", nil, 400, "bad_request", 0, "", nil},
			{"a query that is none", "m?a=%zz", "1", nil, 400, "bad_request", 0, "", nil},
			{"not UTF-8", "m?a=%ff", "1", nil, 400, "bad_request", 0, "", nil},
			{"too many labels", "m?" + labelsInQuery(70), "1", nil, 400, "bad_request", 0, "", nil},
			{"another encoding", "m", "1", []string{"Content-Encoding", "br"}, 415, "unsupported_encoding", 0, "", nil},
			{"not gzip", "m", "1", []string{"Content-Encoding", "gzip"}, 400, "bad_body", 0, "", nil},
			{"cut gzip", "m", gzipOf("1\n2")[:20], []string{"Content-Encoding", "gzip"}, 400, "bad_body", 0, "", nil},
			{"a bomb", "m", gzipOf(strings.Repeat("\n", 3<<20)), []string{"Content-Encoding", "gzip"}, 413, "too_large", 0, "", nil},
			{"oversized", "m", strings.Repeat("\n", 3<<20), nil, 413, "too_large", 0, "", nil},
		} {
			var p taken
			h := handler(t, Options{Publish: p.publish, MaxDecoded: 2 << 20})
			w := pushTo(h, c.path, c.body, c.header...)
			got := answered(t, w)
			if code := ""; w.Code != c.status || got.Written != c.written {
				t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
			} else if got.Error != nil {
				if code = got.Error.Code; code != c.code || got.Error.Message == "" {
					t.Errorf("%s: %s", c.name, w.Body)
				}
			} else if c.code != "" {
				t.Errorf("%s: no error: %s", c.name, w.Body)
			}
			if is := held(p.batches, now); is != c.held {
				t.Errorf("%s: published\n%s, want\n%s", c.name, is, c.held)
			}
			if (got.Show != "") != (c.written > 0) {
				t.Errorf("%s: the page: %q", c.name, got.Show)
			}
			if c.name != "more lines than are listed" && len(got.Refused) != len(c.refused) {
				t.Errorf("%s: refused %+v, want %q", c.name, got.Refused, c.refused)
				continue
			}
			for _, want := range c.refused {
				if !slices.ContainsFunc(got.Refused, func(x refusedLine) bool {
					return strings.HasPrefix(fmt.Sprint(x.Line, " ", x.Reason, " ", x.Message), want)
				}) {
					t.Errorf("%s: refused %+v, want %q", c.name, got.Refused, want)
				}
			}
			if writes, bytes := h.load.held(); writes != 0 || bytes != 0 {
				t.Errorf("%s: %d writes and %d bytes have not been given back", c.name, writes, bytes)
			}
		}
	})
}

func labelsInQuery(n int) string {
	q := url.Values{}
	for i := range n {
		q.Set(fmt.Sprint("l", i), "x")
	}
	return q.Encode()
}

// The link is one that the page understands; see web/src/model/address.ts.
func TestAnAnswerLinksToThePageThatShowsIt(t *testing.T) {
	for path, want := range map[string]string{
		"room_celsius":                       "room_celsius",
		"room_celsius?room=lab":              `room_celsius{room="lab"}`,
		"r%C3%A4um?a.b=%22":                  `{__name__="räum","a.b"="\""}`,
		"room_celsius?room=a%26b%3Dc%23%2B+": `room_celsius{room="a&b=c#+ "}`,
	} {
		var p taken
		w := pushTo(handler(t, Options{Publish: p.publish}), path, "1")
		u, err := url.Parse(answered(t, w).Show)
		if err != nil || u.Scheme != "http" || u.Host != "127.0.0.1:5000" || u.Path != "/" || u.Query().Get("chart") != want {
			t.Errorf("%s: %s, %v; want a chart of %s", path, w.Body, err, want)
		}
	}
}

// One value a second, or a thousand at once: none is taken for a duplicate of another.
func TestEveryNumberWithoutATimeIsASampleOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p taken
		h := handler(t, Options{Publish: p.publish})
		began := time.Now()
		written := 0
		push := func(body string) pushed {
			t.Helper()
			a := answered(t, pushTo(h, "m", body))
			written += a.Written
			return a
		}
		for range 5 {
			push("1")
		}
		push(strings.Repeat("1\n", 100)) // all within one millisecond
		time.Sleep(50 * time.Millisecond)
		push(strings.Repeat("1\n", 300))
		time.Sleep(2 * time.Second)
		if a := push(strings.Repeat("1\n", 5000)); a.Written != 2646 || len(a.Refused) != 101 || a.Refused[0].Line != 2647 || a.Refused[0].Reason != "too_fast" {
			t.Errorf("5,000 numbers 2 s after others: %d written, refused %+v", a.Written, a.Refused[:min(1, len(a.Refused))])
		}
		time.Sleep(time.Minute)
		if a := push("1"); a.Error != nil {
			t.Errorf("a minute later: %+v", a)
		}
		seen := map[int64]bool{}
		newest := int64(math.MinInt64)
		for _, b := range p.batches {
			for _, x := range b.Series[0].Samples {
				if seen[x.T] || x.T <= newest {
					t.Fatalf("a sample at %d behind one at %d", x.T, newest)
				}
				seen[x.T], newest = true, x.T
			}
		}
		if len(seen) != written || newest != time.Now().UnixMilli() || began.UnixMilli()-1 > newest {
			t.Errorf("%d times for %d samples, the newest %d", len(seen), written, newest)
		}
	})
}

func TestPushesThatMayComeAgainAreToldSo(t *testing.T) {
	full := func() error { return errors.New("full") }
	away := func(context.Context, *bus.Batch) error { return errors.New("away") }
	taken := func(context.Context, *bus.Batch) error { return nil }
	for name, c := range map[string]struct {
		o      Options
		status int
		code   string
	}{
		"disk full":    {Options{Writable: full, Publish: taken}, 507, "disk_full"},
		"the bus away": {Options{Publish: away}, 503, "unavailable"},
		"memory":       {Options{Publish: taken, Series: newMemory(0), Short: func() bool { return true }}, 503, "short_of_memory"},
	} {
		w := pushTo(handler(t, c.o), "m", "1")
		if code, _ := said(t, w); w.Code != c.status || code != c.code || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: %d %s %v", name, w.Code, w.Body, w.Header())
		}
	}
}

func TestPushedSeriesBeyondTheBoundAreNamed(t *testing.T) {
	m := newMemory(0)
	w := pushTo(handler(t, Options{Publish: m.publish, Series: m, MaxSeries: 2}), "m", `{"a":1,"b":2,"c":3}`)
	a := answered(t, w)
	if w.Code != 400 || a.Written != 2 || len(a.Refused) != 1 || a.Refused[0].Reason != "max_series" || a.Refused[0].Samples != 1 || !strings.Contains(a.Refused[0].Message, "m_c") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestOnlyPOSTPushes(t *testing.T) {
	w := ask(handler(t, Options{}), httptest.NewRequest("GET", PushPath+"m", nil))
	if code, _ := said(t, w); w.Code != 405 || code != "method_not_allowed" || w.Header().Get("Allow") != "POST" {
		t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
	}
}

// Whatever is pushed, the answer agrees with what was published.
func FuzzPush(f *testing.F) {
	for _, s := range []string{"21.5", "1\nabc\n2", "x=1 y=z", `{"a":1,"b":[2]}`, "0 1", "NaN\n1764270000 1\n", gzipOf("1\n2"), "{\n}"} {
		f.Add("m", "a=b", s, false)
		f.Add("räum x", "__name__=m&a=&a=1", s, true)
	}
	var p taken
	h := handler(f, Options{Publish: p.publish, MaxBody: 1 << 16, MaxDecoded: 1 << 16})
	f.Fuzz(func(t *testing.T, name, query, body string, zipped bool) {
		p.batches = nil
		r := httptest.NewRequest("POST", PushPath, strings.NewReader(body))
		r.URL = &url.URL{Path: PushPath + name, RawPath: PushPath + url.PathEscape(name), RawQuery: query}
		if zipped {
			r.Header.Set("Content-Encoding", "gzip")
		}
		w := ask(h, r)
		if slices.Contains([]int{301, 307, 308}, w.Code) {
			return // a path that is written in another way, such as /..
		}
		if !slices.Contains([]int{200, 400, 404, 413}, w.Code) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		published := 0
		for _, b := range p.batches {
			published += b.Samples()
			for _, s := range b.Series {
				for i := 1; i < len(s.Samples); i++ {
					if s.Samples[i-1].T >= s.Samples[i].T {
						t.Fatalf("times do not ascend: %+v", s)
					}
				}
			}
		}
		if a := answered(t, w); a.Written != published || (w.Code == 200) != (a.Error == nil) {
			t.Fatalf("%d %s; %d published", w.Code, w.Body, published)
		}
	})
}
