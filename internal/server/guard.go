package server

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"stripchart/internal/wire"
)

// contentSecurityPolicy lets the page load its own files and nothing else.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
	"connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"

// Codes of refused requests, in answers and in /metrics.
const (
	codeFull          = "too_many_connections"
	codeUnequalHosts  = "unequal_hosts"
	codeAbsoluteURI   = "absolute_uri"
	codeHostRefused   = "host_not_allowed"
	codeOriginRefused = "origin_not_allowed"
)

// refusals are all codes under which requests are counted as refused.
var refusals = []string{codeFull, codeUnequalHosts, codeAbsoluteURI, codeHostRefused, codeOriginRefused, wire.CodeNotReady, wire.CodeOverloaded,
	codeNoToken, codeBadToken, codeScope, codeBound, codeTooManyAttempts, codeBadSignIn}

// oneHostLine says what to change in a site of nginx that sends different Host headers.
const oneHostLine = "In nginx, remove `include proxy_params` or the site's own line `proxy_set_header Host`"

// minutely is true at most once a minute.
type minutely struct{ last atomic.Int64 } // Unix ms

func (m *minutely) due(now time.Time) bool {
	last := m.last.Load()
	return now.UnixMilli()-last >= time.Minute.Milliseconds() && m.last.CompareAndSwap(last, now.UnixMilli())
}

// guard refuses requests that a foreign page may have caused, and sets the
// headers that every answer has.
//
// A page on any site can make a browser connect to a loopback address: under a name of its
// own that resolves to it (DNS rebinding), which the Host header shows, or directly, which
// the Origin header shows.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, reach := w.Header(), &s.o.Reach
		reach.setPolicy(h, r.URL.Path)
		c := connOf(r)
		if c.probesOnly || c.hosts != oneHost {
			h.Set("Connection", "close")
		}
		switch {
		case c.probesOnly && !isProbe(r.URL.Path):
			h.Set("Retry-After", "5")
			s.refuse(w, r, http.StatusServiceUnavailable, errFull.Code, errFull.Message)
			return
		case c.hosts == unequalHosts:
			if s.unequalLogged.due(time.Now()) {
				s.o.Log.Warn("a request with different Host headers was refused; "+oneHostLine, "peer", r.RemoteAddr)
			}
			s.refuse(w, r, http.StatusBadRequest, codeUnequalHosts, "the request has different Host headers; the proxy before this server has to send one. "+oneHostLine)
			return
		case r.URL.Host != "":
			// http.Server takes the host from the URL then, and hostScan has not checked it.
			s.refuse(w, r, http.StatusBadRequest, codeAbsoluteURI, "this is no proxy; ask for a path, such as /")
			return
		case !s.o.AnyHost && !reach.letsIn(r.Host):
			s.refuse(w, r, http.StatusForbidden, codeHostRefused, reach.names())
			return
		}
		from, is := cameFrom(r)
		foreign := is && !reach.isOwn(from, r)
		switch {
		case foreign && reach.allows(from) && r.URL.Path != signInPath: // cookies are for the server's own pages
			foreign = false
			if reach.share(w, r, from) {
				return
			}
		case !foreign && isForPrograms(r.URL.Path) && isOfOtherSite(r):
			foreign, from = true, cmp.Or(refererOrigin(r), "another site")
		}
		if foreign {
			own := cmp.Or(scheme(r), "http") + "://" + r.Host
			s.o.Log.Warn("a page of another origin was refused; if it is this server's own, the proxy before it has to pass on Host, with its port, and X-Forwarded-Proto", "page", from, "server", own)
			s.refuse(w, r, http.StatusForbidden, codeOriginRefused, "pages of other origins may not connect to this server. This page is of "+from+", and the request was for "+own+
				"; if these are one, the proxy between them has to pass on Host as the browser sent it, with its port ($http_host in nginx), and X-Forwarded-Proto, or the server has to be started with "+
				"--public-url and the page's address. --allow-origin lets pages of another origin connect")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isProbe reports whether path is one that monitoring requests.
func isProbe(path string) bool {
	return path == "/healthz" || path == "/readyz" || path == "/metrics"
}

type connKey struct{}

// withConn is http.Server's ConnContext.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, below(c))
}

// connOf returns the connection of r; the zero conn if it did not come through listener.
func connOf(r *http.Request) *conn {
	if c, ok := r.Context().Value(connKey{}).(*conn); ok && c != nil {
		return c
	}
	return &conn{}
}

// cameFrom returns the origin of the page that caused r. is is false if nothing shows that r
// comes from a page.
//
// Browsers send the origin in Origin, except with a GET to the page's own origin, where only
// Referer has it. Referer counts only at the start of a Socket.IO connection: if the
// WebSocket, which has an Origin, would be refused, polling must not begin either.
func cameFrom(r *http.Request) (origin string, is bool) {
	if origins := r.Header.Values("Origin"); len(origins) > 0 {
		return strings.Join(origins, ", "), true
	}
	if !strings.HasPrefix(r.URL.Path, "/socket.io/") {
		return "", false
	}
	origin = refererOrigin(r)
	return origin, origin != ""
}

// refererOrigin returns the origin in Referer; "" if there is none.
func refererOrigin(r *http.Request) string {
	referer := r.Header.Get("Referer")
	if u, err := url.Parse(referer); err == nil && referer != "" {
		return u.Scheme + "://" + u.Host
	}
	return referer
}

// isForPrograms reports whether path is one that costs more than a page: a page of another
// site must not ask for it, though it cannot read the answer.
func isForPrograms(path string) bool {
	return strings.HasPrefix(path, "/api/") || path == "/query" || path == "/write" || path == "/v1/metrics"
}

// isOfOtherSite reports whether the browser says that a page of another origin caused r.
// Programs do not send the header, nor do browsers over http to a name that is not loopback.
func isOfOtherSite(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "cross-site" || site == "same-site"
}

// isOwnOrigin reports whether origin is the origin that r was sent to: the same scheme, host
// and port. The default port of the scheme may be left out.
func isOwnOrigin(origin string, r *http.Request) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || origin != u.Scheme+"://"+u.Host || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	s := scheme(r)
	if s == "" {
		s = u.Scheme // unknown: only host and port are compared
	}
	return strings.EqualFold(u.Scheme, s) && strings.EqualFold(withPort(u.Host, s), withPort(r.Host, s))
}

// scheme returns the scheme of the browser's URL; "" if unknown. A proxy that speaks TLS to
// the browser sends X-Forwarded-Proto, unless it is set up the old way. A page cannot forge
// that header for a WebSocket, since it cannot set the headers of one.
func scheme(r *http.Request) string {
	first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ",")
	switch strings.ToLower(strings.TrimSpace(first)) {
	case "https", "wss":
		return "https"
	case "http", "ws":
		return "http"
	}
	switch {
	case r.TLS != nil:
		return "https"
	case first == "" && !isLoopbackName(hostname(r.Host)):
		return "" // there may be such a proxy
	}
	return "http"
}

// withPort returns host with the default port of scheme if it has none.
func withPort(host, scheme string) string {
	if _, port, err := net.SplitHostPort(host); err == nil && port != "" {
		return host
	}
	host = strings.TrimSuffix(host, ":")
	if scheme == "https" {
		return host + ":443"
	}
	return host + ":80"
}

// hostname returns the name in a Host header, without port and brackets.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// isLoopbackName reports whether name always means this machine. Every name
// below localhost does (RFC 6761, section 6.3).
func isLoopbackName(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.Unmap().IsLoopback()
}
