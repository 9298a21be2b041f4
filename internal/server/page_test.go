package server

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"stripchart/web"
)

// The page is part of the tests' set-up (make test builds it), so these tests fail
// without it rather than testing nothing.
func TestPageIsServedCompressedAndCached(t *testing.T) {
	if !web.Built() {
		t.Fatal("the page is not built; run the tests with make test, or make build first")
	}
	h := newServer(t, false)
	r := ask(h, "GET", "/", map[string]string{"Accept-Encoding": "gzip, br;q=0.9"})
	if r.StatusCode != 200 || r.Header.Get("Content-Encoding") != "br" || r.Header.Get("Cache-Control") != "no-cache" ||
		!strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") {
		t.Errorf("/: %d %v", r.StatusCode, r.Header)
	}
	if r := ask(h, "GET", "/", map[string]string{"If-None-Match": r.Header.Get("ETag"), "Accept-Encoding": "br"}); r.StatusCode != 304 {
		t.Errorf("/ again: %d", r.StatusCode)
	}
	if r := ask(h, "GET", "/", map[string]string{"Accept-Encoding": "br;q=0, gzip"}); r.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("without br: %v", r.Header)
	}
	html := body(t, ask(h, "GET", "/", nil))
	_, rest, ok := strings.Cut(html, "assets/")
	name, _, _ := strings.Cut(rest, `"`)
	if !ok {
		t.Fatalf("the page loads no assets:\n%s", html)
	}
	if r := ask(h, "GET", "/assets/"+name, nil); r.StatusCode != 200 || !strings.Contains(r.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("/assets/%s: %d %v", name, r.StatusCode, r.Header)
	}
	if r := ask(h, "POST", "/", nil); r.StatusCode != 405 || r.Header.Get("Allow") == "" {
		t.Errorf("POST /: %d", r.StatusCode)
	}
}

// A client that has a file is told so without a look at it: 4 ms for the largest, once.
func TestAFileThatIsKnownIsNotRead(t *testing.T) {
	var reads atomic.Int32
	dist := readsOf{fstest.MapFS{"plotly.html": {Data: []byte("x")}, "index.html": {Data: []byte("x")}, "assets/a.js": {Data: make([]byte, 1<<20)}, "assets/a.js.br": {Data: []byte("br")}}, &reads}
	p, err := readPage(dist, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	get := func(method string, header map[string]string) *http.Response {
		r := httptest.NewRequest(method, "/assets/a.js", nil)
		for k, v := range header {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		reads.Store(0)
		p.ServeHTTP(w, r)
		return w.Result()
	}
	r := get("GET", nil)
	if reads.Load() == 0 || r.StatusCode != 200 || r.ContentLength != 1<<20 {
		t.Fatalf("%d, %d bytes, %d reads", r.StatusCode, r.ContentLength, reads.Load())
	}
	if r := get("GET", map[string]string{"If-None-Match": r.Header.Get("ETag")}); r.StatusCode != 304 || reads.Load() != 0 {
		t.Errorf("for one who has it: %d, %d reads", r.StatusCode, reads.Load())
	}
	if r := get("HEAD", nil); r.StatusCode != 200 || reads.Load() != 0 {
		t.Errorf("HEAD: %d, %d reads", r.StatusCode, reads.Load())
	}
	if r := get("GET", map[string]string{"If-None-Match": r.Header.Get("ETag"), "Accept-Encoding": "br"}); r.StatusCode != 200 || r.Header.Get("Content-Encoding") != "br" {
		t.Errorf("the same, compressed: %d %v", r.StatusCode, r.Header)
	}
}

// readsOf counts what is read of a file system.
type readsOf struct {
	fs.FS
	n *atomic.Int32
}

func (f readsOf) Open(name string) (fs.File, error) {
	file, err := f.FS.Open(name)
	if seeker, ok := file.(io.ReadSeeker); ok && err == nil {
		return readCounter{file, seeker, f.n}, nil
	}
	return file, err
}

type readCounter struct {
	fs.File
	seeker io.ReadSeeker
	n      *atomic.Int32
}

func (f readCounter) Read(p []byte) (int, error) { f.n.Add(1); return f.File.Read(p) }

func (f readCounter) Seek(offset int64, whence int) (int64, error) {
	return f.seeker.Seek(offset, whence)
}

func TestPlotlyPageIsToldItsWindow(t *testing.T) {
	html := body(t, ask(newServer(t, false), "GET", "/plotly", nil))
	if !strings.Contains(html, `content="100"`) || strings.Contains(html, "__X_WINDOW__") {
		t.Errorf("the page does not say x_window = 100:\n%s", html)
	}
}

// A large file is in the binary compressed only, and clients that take no compression get it all the same.
func TestALargeFileIsSentToClientsWithoutCompression(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte("var large"))
	_ = z.Close()
	p, err := readPage(fstest.MapFS{
		"plotly.html": {Data: []byte("x")}, "index.html": {Data: []byte("x")},
		"assets/l.js.gz": {Data: zipped.Bytes()}, "assets/l.js.br": {Data: []byte("br")},
	}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for accepts, want := range map[string]string{"": "var large", "br;q=0": "var large", "gzip": zipped.String(), "br, gzip": "br"} {
		for range 2 {
			r := httptest.NewRequest("GET", "/assets/l.js", nil)
			r.Header.Set("Accept-Encoding", accepts)
			w := httptest.NewRecorder()
			p.ServeHTTP(w, r)
			if w.Body.String() != want || w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/javascript") {
				t.Errorf("%q: %d %v %q", accepts, w.Code, w.Header(), w.Body)
			}
		}
	}
	for _, path := range []string{"/assets/l.js.gz", "/assets/l.js.br"} {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
