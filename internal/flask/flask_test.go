package flask

import (
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/value"
	"go.uber.org/goleak"

	"stripchart/internal/bus"
	"stripchart/internal/bus/redisbus/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The recipe's message as python-socketio 5.7.2 publishes it, captured; the time is 2026-11-27 13:43:35, the value 72.5.
const captured = "gASVuwAAAAAAAAB9lCiMBm1ldGhvZJSMBGVtaXSUjAVldmVudJSMBnVwZGF0ZZSMBGRhdGGUfZQojAF4lF2UjBMyMDI2LTExLTI3IDEzOjQzOjM1lGGMAXmUXZRHQFIgAAAAAABhdYwJbmFtZXNwYWNllIwBL5SMBHJvb22UTowIc2tpcF9zaWSUTowIY2FsbGJhY2uUTowHaG9zdF9pZJSMIDUxMTQzZTU1ODJiOTRhYjM4Yjc3NDM0MTYzNDEwNThhlHUu"

// arrival is when messages of tests arrive, a moment after what they say.
var arrival = time.Date(2026, 11, 27, 13, 43, 36, 0, time.UTC)

// update is a message of python-socketio 5.15.1 and later around its data.
func update(data string) string {
	return `{"method": "emit", "event": "update", "data": ` + data + `, "binary": false, "namespace": "/", "room": null, "skip_sid": null, "callback": null, "host_id": "4e3d"}`
}

// understood returns what a message becomes: value@seconds before arrival, and reasons of refusal.
func understood(payload string, now time.Time, zone *time.Location) string {
	r := reader{zone, 24 * time.Hour, time.Minute}
	samples, refused := r.read([]byte(payload), now)
	var all []string
	for _, s := range samples {
		all = append(all, fmt.Sprintf("%v@%v", s.V, float64(now.UnixMilli()-s.T)/1000))
	}
	for _, e := range refused {
		all = append(all, e.reason)
	}
	return strings.Join(all, " ")
}

func file(t testing.TB, name string) string {
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func pickled(t testing.TB, b64 string) string {
	b, err := base64.StdEncoding.DecodeString(b64)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// numpyFloat is np.float64(2.5) inside of the recipe's message, protocol 4, of numpy 1 or 2.
func numpyFloat(module string) string {
	text := func(s string) string { return "\x8c" + string(rune(len(s))) + s }
	state := "(K\x03" + text("<") + "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94b"
	dtype := text("numpy") + text("dtype") + "\x93\x94" + text("f8") + "\x89\x88\x87\x94R\x94" + state
	scalar := text(module) + text("scalar") + "\x93\x94" + dtype + "C\x08\x00\x00\x00\x00\x00\x00\x04\x40\x94\x86\x94R\x94"
	return "\x80\x04}(" + text("method") + text("emit") + text("event") + text("update") + text("namespace") + text("/") +
		text("data") + "}(" + text("x") + "]" + text("2026-11-27 13:43:35") + "a" + text("y") + "]" + scalar + "auu."
}

func TestMessagesOfAllVersionsAreUnderstood(t *testing.T) {
	for name, payload := range map[string]string{
		"protocol 0":            file(t, "protocol0.pickle"),
		"protocol 1":            file(t, "protocol1.pickle"),
		"protocol 2":            file(t, "protocol2.pickle"),
		"protocol 3":            file(t, "protocol3.pickle"),
		"protocol 4":            file(t, "protocol4.pickle"),
		"protocol 5":            file(t, "protocol5.pickle"),
		"JSON of 5.14.0":        `{"method": "emit", "event": "update", "data": {"x": ["2026-11-27 13:43:35"], "y": [64.5]}, "namespace": "/", "room": null, "skip_sid": null, "callback": null, "host_id": "4e3d"}`,
		"JSON of 5.14.2":        update(`{"x": ["2026-11-27 13:43:35"], "y": [64.5]}`),
		"JSON of 5.15.1":        update(`[{"x": ["2026-11-27 13:43:35"], "y": [64.5]}]`),
		"JSON without spaces":   strings.ReplaceAll(update(`[{"x":["2026-11-27T13:43:35"],"y":[64.5]}]`), ": ", ":"),
		"two plain values":      update(`[{"x": "2026-11-27 13:43:35", "y": 64.5}]`),
		"Unix seconds":          update(`[{"x": [1795787015], "y": ["64.5"]}]`),
		"Unix milliseconds":     update(`[{"x": [1795787015000.0], "y": [64.5]}]`),
		"Z":                     update(`[{"x": ["2026-11-27T13:43:35.000Z"], "y": [64.5]}]`),
		"offset":                update(`[{"x": ["2026-11-27 14:43:35.0+0100"], "y": [64.5]}]`),
		"isoformat with offset": update(`[{"x": ["2026-11-27T12:43:35.000000-01:00"], "y": [64.5]}]`),
	} {
		if got := understood(payload, arrival, time.UTC); got != "64.5@1" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := understood(pickled(t, captured), arrival, time.UTC); got != "72.5@1" {
		t.Errorf("captured: %s", got)
	}
	for _, module := range []string{"numpy.core.multiarray", "numpy._core.multiarray"} {
		if got := understood(numpyFloat(module), arrival, time.UTC); got != "2.5@1" {
			t.Errorf("np.float64 of %s: %s", module, got)
		}
	}
}

func TestWhatIsNotTakenIsCountedByReasonAndCostsNothingElse(t *testing.T) {
	times := `"x": ["2026-11-27 13:43:34", "2026-11-27 13:43:35", "2026-11-27 13:43:36"]`
	for name, c := range map[string]struct{ payload, want string }{
		"bad value beside good":   {update(`[{` + times + `, "y": [1, "abc", true]}]`), "1@2 1@0 bad_value"},
		"bad time beside good":    {update(`[{"x": ["yesterday", null, "2026-11-27 13:43:35"], "y": [1, 2, 3]}]`), "3@1 bad_time bad_time"},
		"None and NaN":            {update(`[{` + times + `, "y": [null, NaN, 3]}]`), "3@0"},
		"infinities":              {update(`[{` + times + `, "y": [Infinity, -Infinity, 3]}]`), "+Inf@2 -Inf@1 3@0"},
		"words in texts":          {update(`[{"x": ["NaN \" NaN"], "y": [3]}]`), "bad_time"},
		"too old":                 {update(`[{"x": ["2026-11-25 13:43:35"], "y": [3]}]`), tooOld},
		"an hour ahead":           {update(`[{"x": ["2026-11-27 14:43:35"], "y": [3]}]`), tooNew},
		"a time beyond all":       {update(`[{"x": [1e300, 1e13], "y": [3, 3]}]`), "bad_time too_new"},
		"unequal lengths":         {update(`[{"x": [1, 2], "y": [3]}]`), otherShape},
		"list and plain value":    {update(`[{"x": [1], "y": 3}]`), otherShape},
		"no y":                    {update(`[{"x": [1]}]`), otherShape},
		"two arguments":           {update(`[{"x": [1], "y": [1]}, 2]`), otherShape},
		"no data":                 {update(`[null]`), otherShape},
		"bytes":                   {strings.Replace(update(`[{"_placeholder": true, "num": 0}]`), "false", "true", 1), otherShape},
		"another event":           {strings.Replace(update(`[1]`), "update", "bootstrap", 1), otherEvent},
		"another method":          {`{"method": "disconnect", "sid": "x", "namespace": "/", "host_id": "4e3d"}`, otherEvent},
		"another namespace":       {strings.Replace(update(`[1]`), `"/"`, `"/chat"`, 1), otherEvent},
		"one page's room":         {strings.Replace(update(`[{"x":["2026-11-27 13:43:35"],"y":[0]}]`), `"room": null`, `"room": "abc"`, 1), notForAll},
		"with a callback":         {strings.Replace(update(`[1]`), `"callback": null`, `"callback": ["r", "/", 1]`, 1), notForAll},
		"neither":                 {"hello", notUnderstood},
		"nothing":                 {"", notUnderstood},
		"JSON cut off":            {update(`[1`)[:60], notUnderstood},
		"too large":               {update(`"` + strings.Repeat("x", maxMessage) + `"`), tooLarge},
		"os.system":               {"cposix\nsystem\n(S'true'\ntR.", notUnderstood},
		"os.system, protocol 4":   {"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.", notUnderstood},
		"dtype of something else": {strings.Replace(numpyFloat("numpy.core.multiarray"), "f8", "O8", 1), notUnderstood},
		"dtype, big-endian":       {strings.Replace(numpyFloat("numpy.core.multiarray"), "\x01<", "\x01>", 1), notUnderstood},
		"a length that lies":      {"\x80\x04X\xff\xff\xff\x7fabc.", notUnderstood},
		"a length of 8 bytes":     {"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc.", notUnderstood},
		"a list in itself":        {"\x80\x04]\x94h\x00a.", notUnderstood},
		"marks alone":             {"\x80\x04" + strings.Repeat("(", 60_000), notUnderstood},
		"deep":                    {"\x80\x04" + strings.Repeat("]", 30_000) + strings.Repeat("a", 29_999) + ".", notUnderstood},
		"pop of a mark":           {"\x80\x04(a.", notUnderstood},
	} {
		if got := understood(c.payload, arrival, time.UTC); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// A list that is used twice is there twice: some decoders lose the second.
func TestASharedListIsThereTwice(t *testing.T) {
	v, err := unpickle([]byte("\x80\x04}\x94(\x8c\x01x\x94]\x94(K\x01K\x02e\x8c\x01y\x94h\x02u."))
	if err != nil {
		t.Fatal(err)
	}
	m := entries(v)
	if x, y := elements(m["x"]), elements(m["y"]); fmt.Sprint(x) != "[1 2]" || fmt.Sprint(y) != "[1 2]" {
		t.Errorf("%v and %v", x, y)
	}
}

func TestTimesWithoutAZoneOnTheDaysOnWhichClocksChange(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ says, arrives, is string }{
		{"2026-07-01 12:00:00", "2026-07-01T10:00:01Z", "2026-07-01T10:00:00Z"},
		{"2026-10-25 02:30:00", "2026-10-25T00:30:01Z", "2026-10-25T00:30:00Z"}, // the first 02:30
		{"2026-10-25 02:30:00", "2026-10-25T01:30:01Z", "2026-10-25T01:30:00Z"}, // the second
		{"2026-10-25 03:30:00", "2026-10-25T02:30:01Z", "2026-10-25T02:30:00Z"},
		{"2026-10-25 01:30:00", "2026-10-24T23:30:01Z", "2026-10-24T23:30:00Z"},
		{"2026-03-29 02:30:00", "2026-03-29T01:30:01Z", "2026-03-29T01:30:00Z"}, // there is none: 03:30
		{"2026-03-29 03:30:00", "2026-03-29T01:30:01Z", "2026-03-29T01:30:00Z"},
		{"2026-03-29 01:30:00", "2026-03-29T00:30:01Z", "2026-03-29T00:30:00Z"},
	} {
		now, err := time.Parse(time.RFC3339, c.arrives)
		if err != nil {
			t.Fatal(err)
		}
		r := reader{berlin, 24 * time.Hour, time.Minute}
		got, refused := r.time(c.says, now)
		if refused != nil || time.UnixMilli(got).UTC().Format(time.RFC3339) != c.is {
			t.Errorf("%s, arrived %s: %s, %v; want %s", c.says, c.arrives, time.UnixMilli(got).UTC(), refused, c.is)
		}
	}
}

func TestURLsAndSeriesAreChecked(t *testing.T) {
	for _, bad := range []string{"redis://user:secret@[", "http://user:secret@x", "redis://:secret@h:1/0?zone=Nowhere/City", "redis://:secret@h:1/x"} {
		if err := CheckURL(bad); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	for _, good := range []string{"redis://h:6379/0", "redis://h/0?channel=socketio&zone=UTC", "rediss://u:p@h", "unix:///run/redis.sock"} {
		if err := CheckURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for s, want := range map[string]string{
		"cpu": `{__name__="cpu"}`, `a{source="flask",b=""}`: `{__name__="a", source="flask"}`, "": "", "a b": "", `a{`: "", "a{} 5": "", "a # x": "", `{b="c"}`: "",
	} {
		ls, err := ParseSeries(s)
		if (err != nil) != (want == "") || err == nil && ls.String() != want {
			t.Errorf("%q: %s, %v", s, ls, err)
		}
	}
}

// sink keeps batches.
type sink struct {
	mu  sync.Mutex
	all []*bus.Batch
}

func (s *sink) queue(b *bus.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, b)
}

func (s *sink) values() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, b := range s.all {
		for _, x := range b.Series[0].Samples {
			v := fmt.Sprint(x.V)
			if math.Float64bits(x.V) == value.StaleNaN {
				v = "end"
			}
			all = append(all, v)
		}
	}
	return strings.Join(all, " ")
}

// The messages themselves come from Redis, which restarts and forgets.
func TestALostConnectionEndsTheLineAndTheNextMessageGoesOn(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	series, err := ParseSeries("cpu")
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	l, err := New(Options{URL: server.URL + "?channel=mine&zone=UTC", Series: series, Behind: 24 * time.Hour, Ahead: time.Minute, Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var s sink
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.Run(ctx, s.queue)
	}()
	until := func(what string, f func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !f(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("did not happen: %s; %s", what, s.values())
			}
		}
	}
	publish := func(channel, v string, listeners int64) {
		t.Helper()
		payload := update(fmt.Sprintf(`[{"x": [%d], "y": [%s]}]`, time.Now().UnixMilli(), v))
		until("a listener", func() bool {
			n, err := server.Client(t).Publish(t.Context(), channel, payload).Result()
			return err == nil && n == listeners
		})
	}
	publish("mine", "1", 1)
	until("the first sample", func() bool { return s.values() == "1" })
	publish("flask-socketio", "7", 0)
	server.Kill9()
	until("the end", func() bool { return s.values() == "1 end" })
	server.Restart(t, true)
	publish("mine", "2", 1)
	until("the sample after it", func() bool { return s.values() == "1 end 2" })
	if n := testutil.ToFloat64(l.metrics.subscriptions); n != 2 {
		t.Errorf("%v subscriptions", n)
	}
	cancel()
	<-ended
	if s.values() != "1 end 2" {
		t.Errorf("the stop of the listener wrote something: %s", s.values())
	}
}

// Whatever is published, nothing but samples with good times comes of it.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(pickled(f, captured)))
	for p := range 6 {
		f.Add([]byte(file(f, fmt.Sprintf("protocol%d.pickle", p))))
	}
	f.Add([]byte(numpyFloat("numpy.core.multiarray")))
	for _, s := range []string{update(`[{"x": ["2026-11-27 13:43:35"], "y": [NaN]}]`), update(`{"x": [1795787015], "y": [-Infinity]}`), "cposix\nsystem\n(S'true'\ntR.", "\x80\x04]\x94h\x00a.", "\x80\x04}(\x8c\x01x]K\x01au."} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		r := reader{time.UTC, 24 * time.Hour, time.Minute}
		samples, refused := r.read(payload, arrival)
		if len(samples)+len(refused) > len(payload)+1 {
			t.Fatalf("%d bytes became %d samples and %d refusals", len(payload), len(samples), len(refused))
		}
		kept := ascending(samples)
		for i, x := range kept {
			if age := arrival.UnixMilli() - x.T; age > 24*3600_000 || age < -60_000 || math.IsNaN(x.V) || i > 0 && x.T <= kept[i-1].T {
				t.Fatalf("sample %d: %+v", i, x)
			}
		}
	})
}
