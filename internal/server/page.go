package server

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"math"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"stripchart/web"
)

// noPage is the text of a binary that was built without the page.
const noPage = "This stripchart was built without its page. Build it with `make build`, which needs Node.js and npm. " +
	"The data is there all the same: Socket.IO at /socket.io/, namespaces / and /live.\n"

// PageBuilt reports whether the page is in this binary.
func PageBuilt() bool { return web.Built() }

// page serves the built page. The headers of each file are computed once, so that a file is
// read only for clients that do not have it.
type page struct {
	files map[string]file // by path below /
}

// file is a file of the page, in each form in which it can be sent.
type file struct {
	name  string
	forms []form // the best first, the plain one last
}

// form is a file as it is, or compressed.
type form struct {
	encoding string        // of Content-Encoding; "" for the file as it is
	etag     func() string // made once, when it is first asked for
	open     func() (io.ReadSeeker, error)
}

// encodings are the forms of a file, the best first. Compressed forms are files beside it.
var encodings = []struct{ name, suffix string }{{"br", ".br"}, {"gzip", ".gz"}, {"", ""}}

func newPage(window time.Duration) (http.Handler, error) {
	if !web.Built() {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" && r.URL.Path != "/plotly" {
				notFound(w, r)
				return
			}
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(noPage))
		}), nil
	}
	p, err := readPage(web.Dist(), window)
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	return p, nil
}

func readPage(dist fs.FS, window time.Duration) (*page, error) {
	p := &page{files: map[string]file{}}
	err := fs.WalkDir(dist, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		// A compressed form is no file of its own. A large file is there compressed only.
		name = strings.TrimSuffix(strings.TrimSuffix(name, ".br"), ".gz")
		if _, done := p.files[name]; done {
			return nil
		}
		f := file{name: name}
		for _, e := range encodings {
			if _, err := fs.Stat(dist, name+e.suffix); err == nil {
				f.forms = append(f.forms, formOf(fileIn(dist, name+e.suffix), e.name))
			} else if e.suffix == "" {
				f.forms = append(f.forms, formOf(unzipped(dist, name+".gz"), ""))
			}
		}
		p.files[name] = f
		return nil
	})
	if err != nil {
		return nil, err
	}
	html, err := fs.ReadFile(dist, "plotly.html")
	if err != nil {
		return nil, err
	}
	seconds := strconv.FormatInt(int64(math.Round(window.Seconds())), 10)
	html = bytes.ReplaceAll(html, []byte("__X_WINDOW__"), []byte(seconds))
	etag := etagOf(sha256.Sum256(html))
	delete(p.files, "plotly.html")
	p.files["plotly"] = file{name: "plotly.html", forms: []form{{
		etag: func() string { return etag }, open: func() (io.ReadSeeker, error) { return bytes.NewReader(html), nil },
	}}}
	p.files[""] = p.files["index.html"]
	p.files["embed"] = p.files["index.html"] // the page sees by its path that it is in a frame
	return p, nil
}

// fileIn returns what opens a file.
func fileIn(dist fs.FS, name string) func() (io.ReadSeeker, error) {
	return func() (io.ReadSeeker, error) {
		f, err := dist.Open(name)
		if err != nil {
			return nil, err
		}
		seeker, ok := f.(io.ReadSeeker) // an embedded file needs no Close
		if !ok {
			return nil, fmt.Errorf("%s cannot be read from any place", name)
		}
		return seeker, nil
	}
}

// unzipped returns what opens the contents of a compressed file. They are unpacked when they are first asked for,
// and stay in memory: all clients share them.
func unzipped(dist fs.FS, name string) func() (io.ReadSeeker, error) {
	contents := sync.OnceValues(func() ([]byte, error) {
		f, err := dist.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(z)
	})
	return func() (io.ReadSeeker, error) {
		b, err := contents()
		return bytes.NewReader(b), err
	}
}

func formOf(open func() (io.ReadSeeker, error), encoding string) form {
	return form{encoding: encoding, open: open, etag: sync.OnceValue(func() string {
		hash := sha256.New()
		f, err := open()
		if err == nil {
			_, err = io.Copy(hash, f)
		}
		if err != nil {
			return "" // then it is sent each time
		}
		return etagOf([sha256.Size]byte(hash.Sum(nil)))
	})}
}

func etagOf(sum [sha256.Size]byte) string { return `"` + hex.EncodeToString(sum[:12]) + `"` }

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := p.files[strings.TrimPrefix(r.URL.Path, "/")]
	if !ok {
		notFound(w, r)
		return
	}
	if refusedMethod(w, r) {
		return
	}
	for _, form := range f.forms {
		if form.encoding == "" || accepts(r, form.encoding) {
			f.serve(w, r, form)
			return
		}
	}
}

// serve writes a file. Files below assets/ have a hash in their names and never change;
// clients ask for the others each time. A client that has the file gets 304, and the file
// is not read.
func (f file) serve(w http.ResponseWriter, r *http.Request, form form) {
	body, err := form.open()
	if err != nil {
		fail(w, r, http.StatusInternalServerError, "internal", "the file could not be read: "+err.Error())
		return
	}
	h := w.Header()
	h.Add("Vary", "Accept-Encoding")
	if t := mime.TypeByExtension(path.Ext(f.name)); t != "" {
		h.Set("Content-Type", t)
	}
	if form.encoding != "" {
		h.Set("Content-Encoding", form.encoding)
	}
	if strings.HasPrefix(f.name, "assets/") {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	if etag := form.etag(); etag != "" {
		h.Set("ETag", etag)
	}
	http.ServeContent(w, r, "", time.Time{}, body)
}

// accepts reports whether the client takes an encoding: it is named in
// Accept-Encoding, without q=0.
func accepts(r *http.Request, encoding string) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(name), encoding) {
			q, isQ := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
			v, err := strconv.ParseFloat(q, 64)
			return !isQ || err != nil || v > 0
		}
	}
	return false
}

func notFound(w http.ResponseWriter, r *http.Request) {
	fail(w, r, http.StatusNotFound, "not_found", "there is nothing here; the page is at /, and numbers are written like this: curl -d 42 http://HOST:PORT/api/v1/push/my_number")
}
