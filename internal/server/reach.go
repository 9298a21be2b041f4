package server

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// Reach is how browsers reach the server, beyond the address it listens on. The zero value is a
// server that answers to loopback names, to pages of its own alone.
type Reach struct {
	// Public is the address of the page for browsers, as ParsePublicURL returns it; nil: the
	// address that they ask for, whichever that is.
	Public *url.URL
	// Proxies are believed what they forward. None: see Proxies.
	Proxies Proxies
	// Origins are those of pages that live elsewhere and may connect, as ParseOrigin returns them.
	Origins []string
	// Embedders are the origins whose pages may show /embed in a frame, as ParseOrigin returns them.
	Embedders []string
}

// ownPaths are the first parts of the server's own paths. The base path cannot begin with one: a
// request for /api/v1/query could be one below the base path /api/, or one whose base path a proxy has removed.
var ownPaths = []string{
	"api", "assets", "embed", "health", "healthz", "metrics", "ping", "plotly", "query", "readyz", "signin", "socket.io", "v1", "v2", "write",
}

// ParsePublicURL reads http(s)://host[:port][/path/], the address of the page. The result has a
// path that begins and ends with a slash, and no port if it is the scheme's own.
func ParsePublicURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not the address of a page: want http(s)://host[:port][/path/]", s)
	}
	origin, err := ParseOrigin(u.Scheme + "://" + u.Host)
	if err != nil {
		return nil, err
	}
	base := strings.TrimSuffix(u.Path, "/") + "/"
	isPlain := func(r rune) bool {
		return r < 0x80 && (strings.ContainsRune("/-._~", r) || '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z')
	}
	if path.Clean(base) != strings.TrimSuffix(base, "/") && base != "/" || strings.TrimFunc(base, isPlain) != "" {
		return nil, fmt.Errorf("the path %s cannot be used: want parts of letters, digits and - . _ ~, such as /sub/", base)
	}
	if first := strings.SplitN(base, "/", 3)[1]; slices.Contains(ownPaths, first) {
		return nil, fmt.Errorf("the path %s is one of the server's own; choose another, such as /stripchart/", base)
	}
	if u, err = url.Parse(origin); err != nil {
		return nil, err
	}
	u.Path = base
	return u, nil
}

// ParseOrigin reads http(s)://host[:port], and returns it as browsers write it in the header Origin.
func ParseOrigin(s string) (string, error) {
	u, err := url.Parse(strings.TrimSuffix(s, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.Trim(strings.ToLower(u.Host), "abcdefghijklmnopqrstuvwxyz0123456789-.:[]") != "" ||
		!strings.EqualFold(strings.TrimSuffix(s, "/"), u.Scheme+"://"+u.Host) {
		return "", fmt.Errorf("%q is not the origin of a page: want http(s)://host[:port], as a browser shows it", s)
	}
	return u.Scheme + "://" + withoutPort(strings.ToLower(u.Host), u.Scheme), nil
}

// withoutPort returns host without the port that is the scheme's own.
func withoutPort(host, scheme string) string {
	return strings.TrimSuffix(strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[scheme]), ":")
}

// CheckPublic returns an error when u, an address of --public-url, can be reached from other machines, which has to be
// allowed: a proxy in front makes a server public that listens on loopback. allowed is as in CheckAddress.
func CheckPublic(u *url.URL, allowed bool) error {
	if allowed || u == nil || isLoopbackName(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("--public-url %s says that others can reach this server, and anybody there could watch and write: set --token-file, so that only those with a token can, or --insecure if that is what you want", u)
}

// base returns the path of the page, "/" or "/sub/".
func (r *Reach) base() string {
	if r.Public == nil {
		return "/"
	}
	return r.Public.Path
}

// letsIn reports whether the server answers to a Host header.
func (r *Reach) letsIn(host string) bool {
	name := strings.TrimSuffix(hostname(host), ".")
	return isLoopbackName(name) || r.Public != nil && strings.EqualFold(name, r.Public.Hostname())
}

// names says to which names the server answers.
func (r *Reach) names() string {
	names := "loopback names only; open it as http://127.0.0.1 or http://localhost, or start it with"
	if r.Public != nil {
		names = "the name in " + r.Public.String() + " and to loopback names only; open it there, or start it with another"
	}
	return "this server answers to " + names + " --public-url and the address that browsers use, or with --insecure to let every name in"
}

// isOwn reports whether origin is that of the server's own page, in a request. Under the name of --public-url
// that one origin is: not one with http or another port, which a stranger between may have made.
func (r *Reach) isOwn(origin string, q *http.Request) bool {
	if r.Public == nil {
		return isOwnOrigin(origin, q)
	}
	u, err := url.Parse(origin)
	if err == nil && strings.EqualFold(strings.TrimSuffix(u.Hostname(), "."), r.Public.Hostname()) {
		return origin == r.Public.Scheme+"://"+r.Public.Host
	}
	return isOwnOrigin(origin, q)
}

// allows reports whether pages of origin, which live elsewhere, may connect.
func (r *Reach) allows(origin string) bool { return slices.Contains(r.Origins, origin) }

// setPolicy sets the headers that say what browsers may do with the answer for a path.
func (r *Reach) setPolicy(h http.Header, path string) {
	policy := contentSecurityPolicy
	if len(r.Embedders) > 0 && path == "/embed" {
		// X-Frame-Options cannot name origins. Browsers that know frame-ancestors pass over it.
		policy = strings.Replace(policy, "frame-ancestors 'none'", "frame-ancestors 'self' "+strings.Join(r.Embedders, " "), 1)
	} else {
		h.Set("X-Frame-Options", "DENY")
	}
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // other sites get no Referer; cameFrom needs it on this one
}

// share answers a browser that asks for a page that lives elsewhere (CORS), and reports whether that was
// all it asked. Such a page has a token. Cookies are shared where the clients of Socket.IO 1 and 2 ask for it, and
// browsers send one only to pages of the same site (SameSite=Strict).
func (r *Reach) share(w http.ResponseWriter, q *http.Request, origin string) (done bool) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", origin)
	h.Add("Vary", "Origin")
	if strings.HasPrefix(q.URL.Path, "/socket.io/") {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if q.Method != http.MethodOptions || q.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Content-Encoding")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// below makes next answer below the base path. Some proxies pass on the path of the page (/sub/metrics), others
// remove it (/metrics); both mean the same, as do the requests of programs on this machine.
func (r *Reach) below(next http.Handler) http.Handler {
	base := r.base()
	if base == "/" {
		return next
	}
	inner := http.StripPrefix(strings.TrimSuffix(base, "/"), next)
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if strings.HasPrefix(q.URL.Path, base) {
			inner.ServeHTTP(w, q)
		} else {
			next.ServeHTTP(w, q)
		}
	})
}

// complete sends browsers that asked for an incomplete path to the path below base that they meant.
// http.ServeMux does so too, but does not know the base path.
func (r *Reach) complete(next http.Handler) http.Handler {
	base := r.base()
	if base == "/" {
		return next
	}
	without := strings.TrimSuffix(base, "/")
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		meant := path.Clean("/" + q.URL.Path)
		switch {
		case q.Method == http.MethodConnect || q.URL.Path == "*":
			meant = q.URL.Path
		case meant == without:
			meant = "/"
		case meant == "/socket.io" || strings.HasSuffix(q.URL.Path, "/") && meant != "/":
			meant += "/"
		}
		if meant == q.URL.Path {
			next.ServeHTTP(w, q)
			return
		}
		to := url.URL{Path: without + meant, RawQuery: q.URL.RawQuery}
		http.Redirect(w, q, to.String(), http.StatusTemporaryRedirect)
	})
}
