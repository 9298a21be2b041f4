package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/influxdata/line-protocol/v2/lineprotocol"

	"stripchart/internal/bus"
)

func influx(h *Endpoint, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return ask(h, r)
}

// saidInflux returns the message of an error in the words of the version.
func saidInflux(t testing.TB, version int, w *httptest.ResponseRecorder) (message string, line int) {
	t.Helper()
	var body struct {
		Error, Code, Message string
		Line                 int
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("%d %q: %v", w.Code, w.Body, err)
	}
	if version == 1 {
		if body.Code != "" || w.Header().Get("X-Influxdb-Error") == "" {
			t.Errorf("not the form of 1.x: %v %s", w.Header(), w.Body)
		}
		return body.Error, 0
	}
	if body.Error != "" || body.Code == "" {
		t.Errorf("not the form of 2.x: %s", w.Body)
	}
	return body.Message, body.Line
}

func TestLineProtocol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		ns := func(d time.Duration) string { return strconv.FormatInt(now.Add(d).UnixNano(), 10) }
		unit := func(d time.Duration) string { return strconv.FormatInt(now.UnixNano()/int64(d), 10) }
		many := "m"
		for i := range 70 {
			many += fmt.Sprintf(",l%d=x", i)
		}
		for _, c := range []struct {
			name, query, body string
			header            []string
			status            int
			says              []string // of the message
			line              int      // of 2.x
			held              string
		}{
			{"a field", "", "cpu,host=a usage=1.5 " + ns(0) + "\n", nil, 204, nil, 0, `{__name__="cpu_usage", host="a"} 1.5@0`},
			{"the field value", "", "cpu,host=a value=1", nil, 204, nil, 0, `{__name__="cpu", host="a"} 1@0`},
			{"every type", "", "m f=1.5,i=-2i,u=3u,t=true,f2=F,e=1e-3", nil, 204, nil, 0,
				`{__name__="m_e"} 0.001@0` + "\n" + `{__name__="m_f"} 1.5@0` + "\n" + `{__name__="m_f2"} 0@0` + "\n" + `{__name__="m_i"} -2@0` + "\n" + `{__name__="m_t"} 1@0` + "\n" + `{__name__="m_u"} 3@0`},
			{"no final newline, CRLF, comments, blank lines, several spaces", "", "# c \"x\r\n\r\n  m  v=1  " + ns(-time.Second) + " \r\n\n#\nm v=2 " + ns(0), nil, 204, nil, 0, `{__name__="m_v"} 1@-1000 2@0`},
			{"ns", "?precision=ns", "m v=1 " + ns(0), nil, 204, nil, 0, `{__name__="m_v"} 1@0`},
			{"n", "?precision=n&db=x&rp=y&u=u&p=p&consistency=all", "m v=1 " + ns(0), nil, 204, nil, 0, `{__name__="m_v"} 1@0`},
			{"us", "?precision=us&bucket=b&org=o", "m v=1 " + unit(time.Microsecond), nil, 204, nil, 0, `{__name__="m_v"} 1@0`},
			{"u", "?precision=u", "m v=1 " + unit(time.Microsecond), nil, 204, nil, 0, `{__name__="m_v"} 1@0`},
			{"ms", "?precision=ms", "m v=1 " + unit(time.Millisecond), nil, 204, nil, 0, `{__name__="m_v"} 1@0`},
			{"s", "?precision=s", "m v=1 " + unit(time.Second), nil, 204, nil, 0, `{__name__="m_v"} 1@0`},
			{"m", "?precision=m", "m v=1 " + unit(time.Minute), nil, 204, nil, 0, `{__name__="m_v"} 1@0`},
			{"h", "?precision=h", "m v=1 " + unit(time.Hour), nil, 204, nil, 0, `{__name__="m_v"} 1@0`},
			{"gzip", "", gzipOf("m v=1"), []string{"Content-Encoding", "gzip"}, 204, nil, 0, `{__name__="m_v"} 1@0`},
			{"escapes and odd characters", "", `my\ m\,x,t\ a=b\,c\=d,ü=日本,e=a\b f\=g=1,h\ i=2`, nil, 204, nil, 0,
				`{__name__="my m,x_f=g", e="a\\b", "t a"="b,c=d", "ü"="日本"} 1@0` + "\n" + `{__name__="my m,x_h i", e="a\\b", "t a"="b,c=d", "ü"="日本"} 2@0`},
			{"empty tags", "", "m,a=,b=1,c= v=1", nil, 204, nil, 0, `{__name__="m_v", b="1"} 1@0`},
			{"one series under two spellings", "", "m,a=1,b=2 v=1 " + ns(-time.Second) + "\nm,b=2,a=1 v=2", nil, 204, nil, 0, `{__name__="m_v", a="1", b="2"} 1@-1000 2@0`},
			{"a duplicate with the same value", "", "m v=1 " + ns(0) + "\nm v=1 " + ns(0), nil, 204, nil, 0, `{__name__="m_v"} 1@0`},
			{"late", "", "m v=1 " + ns(-23*time.Hour) + "\nm v=2", nil, 204, nil, 0, `{__name__="m_v"} 1@-82800000 2@0`},
			{"empty", "", "", nil, 204, nil, 0, ""},
			{"comments alone", "", "#\n\n", nil, 204, nil, 0, ""},

			{"malformed", "", "m v=1\nm v=\nm v=2\nm\n,x v=1\nm v=3 abc", nil, 400, []string{"partial write: ", "line 2: unable to parse 'm v='", "written: 2", "dropped=4"}, 2, `{__name__="m_v"} 1@-1 2@0`},
			{"strings", "", `m s="a b,c=\"d\"",v=1,z="x"`, nil, 204, nil, 0, `{__name__="m_v"} 1@0`},
			{"strings alone", "", `m s="a b,c=\"d\"",z="x"`, nil, 400, []string{"2 string", `field "s" is a string`, "dropped=2"}, 1, ""},
			{"strings beside a bad line", "", "m s=\"x\",v=1\nm v=", nil, 400, []string{"1 string", "1 unreadable", "dropped=2"}, 1, `{__name__="m_v"} 1@0`},
			{"a string of several lines", "", "m s=\"a\nb v=9\nc\",v=1\nm v=2\nm v=", nil, 400, []string{"1 string", "1 unreadable", "line 5"}, 1, `{__name__="m_v"} 1@-1 2@0`},
			{"a quote that is not closed", "", "m v=1\nm s=\"abc\nm v=2\nm v=3", nil, 400, []string{"line 2: unable to parse"}, 2, `{__name__="m_v"} 1@-2 2@-1 3@0`},
			{"a quote that another line closes", "", "m s=\"abc\nm v=2\nm v=3,w=\"x\"", nil, 400, []string{"1 unreadable", "1 string"}, 1, `{__name__="m_v"} 2@-1 3@0`},
			{"quotes in names are no strings", "", "m\"x,t=\"a v\"=1\nm v=2", nil, 204, nil, 0, `{__name__="m\"x_v\"", t="\"a"} 1@0` + "\n" + `{__name__="m_v"} 2@0`},
			{"NaN", "", "m v=NaN\nm v=1", nil, 400, []string{"line 1: unable to parse"}, 1, `{__name__="m_v"} 1@0`},
			{"Inf", "", "m v=+Inf\nm v=1", nil, 400, []string{"line 1: unable to parse"}, 1, `{__name__="m_v"} 1@0`},
			{"a huge number", "", "m v=1e999\nm i=99999999999999999999i\nm v=1", nil, 400, []string{"2 unreadable"}, 1, `{__name__="m_v"} 1@0`},
			{"far future", "", "m v=1 " + ns(2*time.Minute) + "\nm v=2", nil, 400, []string{"1 too_new"}, 1, `{__name__="m_v"} 2@0`},
			{"beyond time", "?precision=h", "m v=1 9223372036854775807\nm v=1 -9223372036854775808\nm v=1 99999999999999999999\nm v=2", nil, 400, []string{"1 too_new", "1 too_old", "1 unreadable"}, 1, `{__name__="m_v"} 2@0`},
			{"the wrong precision", "?precision=s", "m v=1 " + ns(0) + "\nm v=2", nil, 400, []string{"1 too_new"}, 1, `{__name__="m_v"} 2@0`},
			{"too old", "", "m v=1 " + ns(-25*time.Hour) + "\nm v=2", nil, 400, []string{"1 too_old", "line 1: 1999-12-30T23:00:00.000Z lies"}, 1, `{__name__="m_v"} 2@0`},
			{"duplicate", "", "m v=1 " + ns(0) + "\nm v=2 " + ns(0), nil, 400, []string{"1 duplicate", "line 2"}, 2, `{__name__="m_v"} 1@0`},
			{"a tag twice", "", "m,a=1,a=2 v=1\nm v=2", nil, 400, []string{"1 invalid_labels", "there twice"}, 1, `{__name__="m_v"} 2@0`},
			{"too many tags", "", many + " v=1\nm v=2", nil, 400, []string{"1 invalid_labels", "more than 64"}, 1, `{__name__="m_v"} 2@0`},
			{"a long tag", "", "m,a=" + strings.Repeat("v", 3000) + " v=1\nm v=2", nil, 400, []string{"1 invalid_labels", "3000 bytes"}, 1, `{__name__="m_v"} 2@0`},
			{"not UTF-8", "", "m,a=\xff v=1\nm v=2", nil, 400, []string{"1 unreadable"}, 1, `{__name__="m_v"} 2@0`},
			{"control characters", "", "m\x00 v=1\nm v=2", nil, 400, []string{"1 unreadable"}, 1, `{__name__="m_v"} 2@0`},
			{"the name as a tag", "", "m,__name__=x v=1\nm v=2", nil, 400, []string{"1 invalid_labels"}, 1, `{__name__="m_v"} 2@0`},
			{"another precision", "?precision=fortnight", "m v=1", nil, 400, []string{"invalid precision"}, 0, ""},
			{"another encoding", "", "m v=1", []string{"Content-Encoding", "br"}, 415, []string{"gzip"}, 0, ""},
			{"not gzip", "", "m v=1", []string{"Content-Encoding", "gzip"}, 400, []string{"gzip"}, 0, ""},
			{"a bomb", "", gzipOf(strings.Repeat("\n", 3<<20)), []string{"Content-Encoding", "gzip"}, 413, []string{"decompressed"}, 0, ""},
			{"oversized", "", strings.Repeat("\n", 3<<20), nil, 413, []string{"as sent"}, 0, ""},
		} {
			for version, path := range map[int]string{1: "/write", 2: "/api/v2/write"} {
				name := fmt.Sprint(c.name, ", ", path)
				var p taken
				h := handler(t, Options{Publish: p.publish, MaxDecoded: 2 << 20})
				w := influx(h, path+c.query, c.body, c.header...)
				if w.Code != c.status {
					t.Errorf("%s: %d %s", name, w.Code, w.Body)
				}
				if w.Code == 204 {
					if w.Body.Len() > 0 {
						t.Errorf("%s: %s", name, w.Body)
					}
				} else {
					message, line := saidInflux(t, version, w)
					for _, want := range c.says {
						if !strings.Contains(message, want) {
							t.Errorf("%s: %q does not say %q", name, message, want)
						}
					}
					if version == 2 && line != c.line {
						t.Errorf("%s: line %d, want %d: %s", name, line, c.line, message)
					}
				}
				if is := held(p.batches, now); is != c.held {
					t.Errorf("%s: published\n%s, want\n%s", name, is, c.held)
				}
				if writes, bytes := h.load.held(); writes != 0 || bytes != 0 {
					t.Errorf("%s: %d writes and %d bytes have not been given back", name, writes, bytes)
				}
			}
		}
	})
}

// Agents drop what is answered with any 4xx.
func TestLineProtocolIsToldToComeAgainWith503(t *testing.T) {
	for name, c := range map[string]struct {
		o      Options
		status int
	}{
		"overloaded":      {Options{MaxWrites: -1}, 503},
		"the bus away":    {Options{Publish: func(context.Context, *bus.Batch) error { return errors.New("away") }}, 503},
		"short of memory": {Options{Publish: new(taken).publish, Series: newMemory(0), Short: func() bool { return true }}, 503},
		"disk full":       {Options{Writable: func() error { return errors.New("full") }}, 507},
	} {
		for version, path := range map[int]string{1: "/write", 2: "/api/v2/write"} {
			w := influx(handler(t, c.o), path, "m v=1")
			if saidInflux(t, version, w); w.Code != c.status || w.Header().Get("Retry-After") == "" {
				t.Errorf("%s: %d %s %v", name, w.Code, w.Body, w.Header())
			}
		}
	}
}

// Telegraf sends up to 5,000 lines at once, not compressed if it is not told to.
func TestABatchOf5000LinesFits(t *testing.T) {
	fields := "v0=0"
	for i := range 7 { // few and long, so that the test is quick: the bytes matter
		fields += fmt.Sprintf(",a_field_with_a_%s_name_%d=%d.123456789", strings.Repeat("long_", 25), i, i)
	}
	var body strings.Builder
	at := time.Now().UnixNano()
	for i := range 5000 {
		fmt.Fprintf(&body, "measurement,host=a_host_with_a_long_name,device=d%d %s %d\n", i%300, fields, at+int64(i)*1e6)
	}
	for _, zipped := range []bool{false, true} {
		var p taken
		h := handler(t, Options{Publish: p.publish})
		if body.Len() < 5<<20 {
			t.Fatalf("the lines have %d bytes", body.Len())
		}
		text, header := body.String(), []string(nil)
		if zipped {
			text, header = gzipOf(text), []string{"Content-Encoding", "gzip"}
		}
		if w := influx(h, "/write", text, header...); w.Code != 204 || len(p.batches) != 1 || p.batches[0].Samples() != 5000*8 {
			t.Errorf("%d bytes: %d %s", body.Len(), w.Code, w.Body)
		}
	}
}

// Lines whose quotes other lines close are read again by themselves, but not again and again.
func TestABodyIsNotReadAgainAndAgain(t *testing.T) {
	for name, body := range map[string]string{
		"each line closes the one before": strings.Repeat("\"x y,b=\"\n", 2000),
		"and nothing closes the last":     strings.Repeat("\"x y,b=\"\n", 2000) + "m v=\"" + strings.Repeat("x", 20_000),
		"one string":                      "m v=\"" + strings.Repeat("\n", 20_000) + "\"x",
	} {
		c := newEntryCutter([]byte(body))
		var d entryDecoder
		for rest := []byte(body); len(rest) > 0; {
			e := c.cut(rest)
			if e.lines > 1 && d.read(e.text) != nil {
				e = lineEntry(rest)
			}
			rest = rest[e.size:]
		}
		if most := 5 * len(body); c.done > most {
			t.Errorf("%s: %d bytes were cut of %d", name, c.done, len(body))
		}
	}
}

func TestWhatAgentsAskForFirst(t *testing.T) {
	full := false
	h := handler(t, Options{Writable: func() error {
		if full {
			return errors.New("full")
		}
		return nil
	}})
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	for _, c := range []struct {
		method, target, body string
		header               []string
		status               int
		says                 string
	}{
		{"GET", "/ping", "", nil, 204, ""},
		{"HEAD", "/ping", "", nil, 204, ""},
		{"GET", "/ping?verbose=true", "", nil, 200, `"version"`},
		{"POST", "/ping", "", nil, 405, "GET"},
		{"GET", "/health", "", nil, 200, `"status":"pass"`},
		{"POST", "/query?q=create+database+%22mydb%22", "", nil, 200, `{"results":[{"statement_id":0}]}`},
		{"GET", "/query?q=CREATE+DATABASE+mydb", "", nil, 200, `statement_id`},
		{"POST", "/query", "q=CREATE+DATABASE+mydb+WITH+DURATION+1d", form, 200, `statement_id`},
		{"POST", "/query", "q=SELECT+1", form, 400, `"error":"only CREATE DATABASE`},
		{"POST", "/query", "", nil, 400, `only CREATE DATABASE`},
		{"POST", "/query", "q=" + strings.Repeat("x", 2*maxQuery), form, 400, `cannot be read`},
		{"DELETE", "/query?q=x", "", nil, 405, `error`},
		{"GET", "/write", "", nil, 405, `"error":"this address takes writes`},
		{"GET", "/api/v2/write", "", nil, 405, `"code":"method not allowed"`},
	} {
		r := httptest.NewRequest(c.method, c.target, strings.NewReader(c.body))
		for i := 0; i < len(c.header); i += 2 {
			r.Header.Set(c.header[i], c.header[i+1])
		}
		w := ask(h, r)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s %s: %d %s", c.method, c.target, w.Code, w.Body)
		}
		if c.status/100 == 2 && strings.HasPrefix(c.target, "/ping") && w.Header().Get("X-Influxdb-Version") == "" {
			t.Errorf("%s %s: %v", c.method, c.target, w.Header())
		}
	}
	full = true
	if w := ask(h, httptest.NewRequest("GET", "/health", nil)); w.Code != 503 || !strings.Contains(w.Body.String(), `"status":"fail"`) {
		t.Errorf("with a full disk: %d %s", w.Code, w.Body)
	}
}

// points reads a body with the library alone: what it holds, and whether all of it could be
// read.
func points(body []byte) (all []string, whole bool) {
	in := lineprotocol.NewDecoderWithBytes(body)
	for in.Next() {
		m, err := in.Measurement()
		if err != nil {
			return nil, false
		}
		point := string(m)
		for {
			k, v, err := in.NextTag()
			if err != nil {
				return nil, false
			}
			if k == nil {
				break
			}
			point += fmt.Sprintf(",%s=%s", k, v)
		}
		for {
			k, v, err := in.NextField()
			if err != nil {
				return nil, false
			}
			if k == nil {
				break
			}
			point += fmt.Sprintf(" %s=%v", k, v)
		}
		at, err := in.TimeBytes()
		if err != nil {
			return nil, false
		}
		all = append(all, point+" "+string(at))
	}
	return all, true
}

// Entries are cut where the library cuts them, and the endpoint agrees with what it publishes.
func FuzzLineProtocol(f *testing.F) {
	for _, s := range []string{
		"cpu,host=a usage=1.5 1764270000000000000\n", "m s=\"a\nb\\\"c\",v=1\r\n# x \"\nm v=2", `my\ m\,x,t\ a=b\,c\=d f\=g=1`, "m,a=,b= v=1", "m v=1,v=2 1 2",
		"m s=\"x\nm v=\"1\nm v=1", "m\\\nn v=1", "m v=t,w=1i,x=2u", "  m   v=1   5  ", "m s=\"\\\\\",v=1", "\"x y,b=\"\n\"x y,b=\"\n", ",=\"", "m \"=1", "m a\\=\"=1\nm v=2",
	} {
		f.Add(s, "", false)
		f.Add(gzipOf(s), "s", true)
	}
	var p taken
	h := handler(f, Options{Publish: p.publish, MaxBody: 1 << 16, MaxDecoded: 1 << 16})
	f.Fuzz(func(t *testing.T, body, precision string, zipped bool) {
		if want, whole := points([]byte(body)); whole {
			var got []string
			c := newEntryCutter([]byte(body))
			for rest := []byte(body); len(rest) > 0; {
				e := c.cut(rest)
				if e.size < 1 || e.lines < 1 {
					t.Fatalf("an entry of %d bytes and %d lines in %q", e.size, e.lines, rest)
				}
				some, whole := points(e.text)
				if !whole || len(some) > 1 {
					t.Fatalf("%q is cut into %q (%v, %q)", body, e.text, whole, some)
				}
				got, rest = append(got, some...), rest[e.size:]
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%q is cut into %q, want %q", body, got, want)
			}
		}
		for version, path := range map[int]string{1: "/write", 2: "/api/v2/write"} {
			p.batches = nil
			r := httptest.NewRequest("POST", path, strings.NewReader(body))
			q := r.URL.Query()
			q.Set("precision", precision)
			r.URL.RawQuery = q.Encode()
			if zipped {
				r.Header.Set("Content-Encoding", "gzip")
			}
			w := ask(h, r)
			switch w.Code {
			case 204:
			case 400, 413:
				if message, _ := saidInflux(t, version, w); len(p.batches) > 0 && !strings.Contains(message, "partial write") {
					t.Fatalf("%d %s with %d batches", w.Code, w.Body, len(p.batches))
				}
			default:
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			for _, b := range p.batches {
				for _, s := range b.Series {
					for i, x := range s.Samples {
						if i > 0 && s.Samples[i-1].T >= x.T || x.V-x.V != 0 {
							t.Fatalf("published %v", s)
						}
					}
				}
			}
		}
	})
}
