package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
	"stripchart/internal/bus/rw"
	"stripchart/internal/export"
	"stripchart/internal/testkit"
)

// command runs the program in this process.
func command(t testing.TB, stdin io.Reader, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, stdin, &out, &errs)
	return code, out.String(), errs.String()
}

// must runs the program, which has to succeed.
func must(t testing.TB, args ...string) string {
	t.Helper()
	code, _, said := command(t, nil, args...)
	if code != exitOK {
		t.Fatalf("%v: exit code %d\n%s", args, code, said)
	}
	return said
}

// fileSamples reads a file of samples.
func fileSamples(t testing.TB, path string) map[string][]bus.Sample {
	t.Helper()
	f, _ := export.FormatOf(path)
	text, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	all := map[string][]bus.Sample{}
	for d := export.NewDecoder(f, text); ; {
		r, err := d.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all[r.Labels.String()] = append(all[r.Labels.String()], r.Samples...)
	}
}

// What one server has recorded is in a file, and from there in another server, running or
// not, bit by bit.
func TestWhatIsExportedAndImportedIsTheSame(t *testing.T) {
	a := start(t, "program", "serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0")
	a.untilReady()
	to, err := httpbus.New(httpbus.Options{URL: a.url, Encode: rw.Encode, UserAgent: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	now := time.Now().UnixMilli()
	b := &bus.Batch{}
	for n := range int64(20) {
		s := bus.Series{Labels: labels.FromStrings("__name__", fmt.Sprintf("m%d", n%3), "n", fmt.Sprint(n), "text", "=1+\r\n\"ä\",{}\\n'")}
		for i := range int64(200) {
			s.Samples = append(s.Samples, bus.Sample{T: now - 3_600_000 + i*1000 + n, V: math.Pi * float64(i-100)})
		}
		for i, v := range []float64{math.Inf(1), math.Inf(-1), math.Float64frombits(value.NormalNaN), math.Float64frombits(value.StaleNaN), math.Copysign(0, -1)} {
			s.Samples[i].V = v
		}
		b.Series = append(b.Series, s)
	}
	if err := to.Publish(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	first := filepath.Join(dir, "first.jsonl")
	must(t, "export", first, "--from", a.url)
	want := fileSamples(t, first)
	if len(want) != 20 || len(want[b.Series[0].Labels.String()]) != 200 {
		t.Fatalf("%d series", len(want))
	}
	for i, end := range []string{"csv", "jsonl.gz", "om"} {
		file := filepath.Join(dir, "a."+end)
		must(t, "export", file, "--from", a.url)

		online := start(t, "program", "serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0")
		online.untilReady()
		must(t, "import", file, "--to", online.url)
		must(t, "import", file, "--to", online.url) // once more changes nothing

		data := t.TempDir()
		must(t, "import", file, "--offline", "--data-dir", data)
		offline := start(t, "program", "serve", "--data-dir", data, "--listen", "127.0.0.1:0")
		offline.untilReady()
		for name, p := range map[string]*process{"online": online, "offline": offline} {
			again := filepath.Join(dir, fmt.Sprint(name, i, ".jsonl"))
			must(t, "export", again, "--from", p.url)
			testkit.SameSamples(t, end+" "+name, fileSamples(t, again), want)
		}
		code, _, said := command(t, nil, "import", file, "--offline", "--data-dir", data)
		if code != exitError || !strings.Contains(said, offline.url) || !strings.Contains(said, "stop it") {
			t.Errorf("an import beside a server: exit code %d, %s", code, said)
		}
		online.stop()
		offline.stop()
	}
	// Selected, to standard output.
	code, out, said := command(t, nil, "export", "-", "--format", "csv", "--match", `m1{n="1"}`, "--match", `m1{n="4"}`, "--times", "unix_ms", "--from", a.url)
	if lines := strings.Split(out, "\r\n"); code != exitOK || !strings.HasPrefix(out, "time,value,__name__,n,text\r\n1") || !strings.Contains(lines[1], ",m1,1,") {
		t.Errorf("exit code %d, %.300s, %s", code, out, said)
	}
	a.stop()
}

// A file is there as a whole, or not at all.
func TestAnExportThatFailsLeavesNoFile(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		says   string
		kept   bool
	}{
		"an error": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(503)
			io.WriteString(w, `{"status":"error","errorType":"unavailable","error":"2 exports are under way"}`)
		}, "2 exports are under way", false},
		"another server": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, "no stripchart", false},
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "time,value,__name__\r\n")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, "before its end", false},
		"a warning": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "Stripchart-Warning")
			io.WriteString(w, "time,value,__name__\r\n")
			w.Header().Set("Stripchart-Warning", "history is damaged")
		}, "history is damaged", true},
	} {
		s := httptest.NewServer(c.answer)
		file := filepath.Join(t.TempDir(), "x.csv")
		if err := os.WriteFile(file, []byte("before"), 0o600); err != nil {
			t.Fatal(err)
		}
		code, _, said := command(t, nil, "export", file, "--from", s.URL)
		s.Close()
		text, err := os.ReadFile(file)
		if code != exitError || !strings.Contains(said, c.says) || err != nil || (string(text) == "before") == c.kept {
			t.Errorf("%s: exit code %d, %s, %q", name, code, said, text)
		}
		if names, _ := filepath.Glob(file + "*"); len(names) != 1 {
			t.Errorf("%s: %v", name, names)
		}
	}
}

// What is older than a running server takes is named, with what to do, and is the offline
// import's; the future is nobody's.
func TestOldSamplesAreImportedOffline(t *testing.T) {
	p := start(t, "program", "serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0")
	p.untilReady()
	at := func(ago time.Duration) string { return fmt.Sprint(time.Now().Add(-ago).UnixMilli()) }
	file := filepath.Join(t.TempDir(), "x.csv")
	text := "time,value,__name__\n" + at(40*24*time.Hour) + ",1,m\n" + at(25*time.Hour) + ",2,m\n" + at(time.Hour) + ",3,m\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, said := command(t, nil, "import", file, "--to", p.url)
	if code != exitError || !strings.Contains(said, "sent to "+p.url+": 1") || !strings.Contains(said, "older than 24 h") || !strings.Contains(said, ": 2; stop it") {
		t.Errorf("exit code %d, %s", code, said)
	}
	p.stop()
	data := t.TempDir()
	text += at(-time.Hour) + ",4,m\n"
	code, _, said = command(t, strings.NewReader(text), "import", "-", "--format", "csv", "--offline", "--data-dir", data)
	if code != exitError || !strings.Contains(said, "samples added to "+data+": 3") || !strings.Contains(said, "in the future: 1") || !strings.Contains(said, "--retention of less than 44d") {
		t.Errorf("exit code %d, %s", code, said)
	}
	p = start(t, "program", "serve", "--data-dir", data, "--listen", "127.0.0.1:0", "--retention", "60d")
	p.untilReady()
	if _, text := get(t, p.url+"/api/v1/query?query=sum_over_time(m[50d])"); !strings.Contains(text, `"6"]`) {
		t.Errorf("%s", text)
	}
	p.stop()
}

func TestAFileThatCannotBeReadIsNotImportedInPart(t *testing.T) {
	data := t.TempDir()
	text := fmt.Sprintf("time,value,__name__\n%d,1,m\nsoon,2,m\n", time.Now().UnixMilli())
	code, _, said := command(t, strings.NewReader(text), "import", "-", "--format", "csv", "--offline", "--data-dir", data)
	if code != exitError || !strings.Contains(said, "line 3") {
		t.Errorf("exit code %d, %s", code, said)
	}
	if blocks, _ := filepath.Glob(filepath.Join(data, "tsdb", "0*")); len(blocks) > 0 {
		t.Errorf("%v", blocks)
	}
	for _, args := range [][]string{{"import", "x"}, {"export", "x"}, {"export", "x.csv", "--format", "xml"}, {"import", "x.csv", "--retention", "1d"}, {"export", "x.csv", "--from", "nowhere"}} {
		if code, _, said := command(t, nil, args...); code != exitUsage {
			t.Errorf("%v: exit code %d, %s", args, code, said)
		}
	}
}

// An import waits for a server that is away, for a minute, and sends the same again.
func TestAnImportWaitsForItsServer(t *testing.T) {
	for _, away := range []time.Duration{0, 30 * time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			var got []bus.Sample
			o := &online{
				say: func(string, ...any) {}, name: "x", patience: importPatience,
				pauses: importPauses, close: func() error { return nil },
				publish: func(_ context.Context, b *bus.Batch) error {
					if time.Since(began) < away {
						return errors.New("connection refused")
					}
					for _, s := range b.Series {
						got = append(got, s.Samples...)
					}
					return nil
				},
			}
			samples := []bus.Sample{{T: began.UnixMilli(), V: 1}, {T: began.UnixMilli() + 1, V: 2}}
			err := o.take(t.Context(), labels.FromStrings("__name__", "m"), samples)
			if err == nil {
				err = o.finish(t.Context())
			}
			if (err != nil) != (away > importPatience) || err == nil && fmt.Sprint(got) != fmt.Sprint(samples) {
				t.Errorf("away for %v: %v, %v", away, got, err)
			}
		})
	}
}

func TestProgressIsALineOnATerminalAndLinesElsewhere(t *testing.T) {
	for _, terminal := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var said bytes.Buffer
			p := newProgress(&said, "imported", 100e6)
			p.terminal = terminal
			for i := range int64(25) {
				p.at(i*4e6, "")
				time.Sleep(time.Second)
			}
			p.end()
			lines, bars := strings.Count(said.String(), "\n"), strings.Count(said.String(), "\r")
			if terminal && (lines != 1 || bars != 24 || !strings.Contains(said.String(), "[###############...............]  52 % imported: 52.0 MB")) {
				t.Errorf("%q", said.String())
			}
			if !terminal && (lines != 2 || bars != 0 || !strings.Contains(said.String(), "stripchart:  40 % imported: 40.0 MB, 4.0 MB/s\n")) {
				t.Errorf("%q", said.String())
			}
		})
	}
}
