package wire

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stripchart/internal/bus"
)

// fixture is a recorded message of docs/fixtures.
type fixture struct {
	Namespace string          `json:"namespace"`
	Sender    string          `json:"sender"`
	Event     string          `json:"event"`
	Arg       json.RawMessage `json:"arg"`
	Ack       json.RawMessage `json:"ack"`
}

func fixtures(t *testing.T) map[string]fixture {
	t.Helper()
	files, err := filepath.Glob("../../docs/fixtures/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	all := map[string]fixture{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var f fixture
		if err := json.Unmarshal(b, &f); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[strings.TrimSuffix(filepath.Base(name), ".json")] = f
	}
	return all
}

// again decodes raw into m and encodes it the way the server does.
func again(t *testing.T, raw []byte, m any) []byte {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		t.Fatal(err)
	}
	if a, ok := m.(interface{ AppendJSON([]byte) []byte }); ok {
		return a.AppendJSON(nil)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(b.Bytes())
}

// The protocol is frozen: what the server encodes has to stay these bytes.
func TestMessagesHaveTheRecordedBytes(t *testing.T) {
	seen := map[string]bool{}
	for name, f := range fixtures(t) {
		t.Run(name, func(t *testing.T) {
			seen[f.Namespace+f.Event] = true
			if f.Namespace == "/" {
				return // TestRootNamespaceHasTheRecordedBytes
			}
			var arg, ack any
			switch f.Event {
			case EventHello:
				arg = new(Hello)
			case EventSubscribe:
				arg, ack = new(Subscribe), new(Subscribed)
			case EventUnsubscribe:
				arg, ack = new(Unsubscribe), new(OK)
			case EventHistory:
				arg, ack = new(History), new(HistoryAnswer)
			case EventCatalogue:
				arg = new(CatalogueChange)
				if f.Sender == "client" {
					arg, ack = new(Catalogue), new(CatalogueAnswer)
				}
			case EventBootstrap:
				arg = new(Bootstrap)
			case EventUpdate:
				arg = new(Update)
			case EventStatus:
				arg = new(Status)
			case EventGap:
				arg = new(Gap)
			case EventBye:
				arg = new(Bye)
			default:
				t.Fatalf("event %q is not of the protocol", f.Event)
			}
			if got := again(t, f.Arg, arg); !bytes.Equal(got, f.Arg) {
				t.Errorf("argument:\n got %s\nwant %s", got, f.Arg)
			}
			if f.Ack == nil {
				return
			}
			if bytes.Contains(f.Ack, []byte(`"ok":false`)) {
				ack = new(Refused)
			}
			if got := again(t, f.Ack, ack); !bytes.Equal(got, f.Ack) {
				t.Errorf("acknowledgement:\n got %s\nwant %s", got, f.Ack)
			}
		})
	}
	for _, e := range []string{"/bootstrap", "/update", "/livehello", "/livesubscribe", "/liveunsubscribe", "/livehistory", "/livecatalogue", "/livebootstrap", "/liveupdate", "/livestatus", "/livegap", "/livebye"} {
		if !seen[e] {
			t.Errorf("no fixture of %s", e)
		}
	}
}

func TestRootNamespaceHasTheRecordedBytes(t *testing.T) {
	all := fixtures(t)
	start := time.Date(2018, 12, 12, 10, 0, 0, 0, time.UTC).UnixMilli()
	for name, samples := range map[string][]bus.Sample{
		"root-bootstrap":       {{T: start, V: 3.1}, {T: start + 1000, V: 4}},
		"root-bootstrap-empty": nil,
		"root-update":          {{T: start + 2050, V: 4.25}},
	} {
		f, ok := all[name]
		if !ok {
			t.Errorf("no fixture %s", name)
			continue
		}
		if got := AppendRoot(nil, samples, time.UTC); !bytes.Equal(got, f.Arg) {
			t.Errorf("%s:\n got %s\nwant %s", name, got, f.Arg)
		}
	}
	g := Gap{From: start + 4000, To: start + 9500, Reason: GapLogTrimmed}
	if got, want := AppendRootGap(nil, &g, time.UTC), all["root-gap"].Arg; !bytes.Equal(got, want) {
		t.Errorf("root-gap:\n got %s\nwant %s", got, want)
	}
}

func FuzzFloat(f *testing.F) {
	for _, v := range []float64{0, math.Copysign(0, -1), 1, -1.5, 1e15, 1e21, 1e-7, 123456789.125, math.MaxFloat64, math.SmallestNonzeroFloat64, math.NaN(), math.Inf(-1)} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v float64) {
		b := AppendFloat([]byte("["), v)
		var got Values
		if err := json.Unmarshal(append(b, ']'), &got); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		want := v
		if math.IsInf(v, 0) {
			want = math.NaN()
		}
		if math.Float64bits(got[0]) != math.Float64bits(want) && !(math.IsNaN(want) && math.IsNaN(got[0])) {
			t.Fatalf("%v was written as %s and read as %v", v, b, got[0])
		}
	})
}

func FuzzString(f *testing.F) {
	for _, s := range []string{"", "web1", `a"b\c`, "é\n\x00", "\xff", "<&>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got, want string
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil {
			t.Fatal(err)
		}
		b, _ := json.Marshal(s)
		_ = json.Unmarshal(b, &want) // invalid UTF-8 is replaced, as json does it
		if got != want {
			t.Fatalf("%q was read as %q", s, got)
		}
	})
}
