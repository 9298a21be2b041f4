package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"math"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"stripchart/web"
)

// noPage is what a binary says that was built without the page.
const noPage = "This stripchart was built without its page. Build it with `make build`, which needs Node.js and npm. " +
	"The data is there all the same: Socket.IO at /socket.io/, namespaces / and /live.\n"

// PageBuilt reports whether the page is in this binary.
func PageBuilt() bool { return web.Built() }

// page serves the built page.
type page struct {
	files  fs.FS
	plotly []byte // plotly.html with the window filled in
}

func newPage(window time.Duration) (http.Handler, error) {
	if !web.Built() {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" && r.URL.Path != "/plotly" {
				notFound(w)
				return
			}
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(noPage))
		}), nil
	}
	p := &page{files: web.Dist()}
	html, err := fs.ReadFile(p.files, "plotly.html")
	if err != nil {
		return nil, fmt.Errorf("page: %w", err)
	}
	seconds := strconv.FormatInt(int64(math.Round(window.Seconds())), 10)
	p.plotly = bytes.ReplaceAll(html, []byte("__X_WINDOW__"), []byte(seconds))
	return p, nil
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, http.StatusMethodNotAllowed, "method_not_allowed", "use GET")
		return
	}
	switch name := strings.TrimPrefix(r.URL.Path, "/"); name {
	case "":
		p.file(w, r, "index.html")
	case "plotly":
		serve(w, r, "plotly.html", "", p.plotly)
	default:
		p.file(w, r, name)
	}
}

// encodings are the compressed forms that stand beside a file, best first.
var encodings = []struct{ name, suffix string }{{"br", ".br"}, {"gzip", ".gz"}}

func (p *page) file(w http.ResponseWriter, r *http.Request, name string) {
	body, err := fs.ReadFile(p.files, name)
	if err != nil || path.Ext(name) == ".html" && name != "index.html" {
		notFound(w)
		return
	}
	for _, e := range encodings {
		if !accepts(r, e.name) {
			continue
		}
		if compressed, err := fs.ReadFile(p.files, name+e.suffix); err == nil {
			serve(w, r, name, e.name, compressed)
			return
		}
	}
	serve(w, r, name, "", body)
}

// serve writes a file. What lies below assets/ has a hash in its name and never
// changes; all else is asked for again each time.
func serve(w http.ResponseWriter, r *http.Request, name, encoding string, body []byte) {
	h := w.Header()
	h.Set("Vary", "Accept-Encoding")
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		h.Set("Content-Type", t)
	}
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
	}
	if strings.HasPrefix(name, "assets/") {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	sum := sha256.Sum256(body)
	h.Set("ETag", `"`+hex.EncodeToString(sum[:12])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
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

func notFound(w http.ResponseWriter) {
	fail(w, http.StatusNotFound, "not_found", "there is nothing here; the page is at /, the routes are in the README")
}
