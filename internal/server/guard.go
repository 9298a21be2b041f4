package server

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// contentSecurityPolicy lets the page load its own files and nothing else.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
	"connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"

// guard refuses requests that a foreign page may have caused, and sets the
// headers that every answer has.
//
// A page on any site can make a browser connect to a loopback address: under a name
// of its own that it has pointed there (DNS rebinding), which the Host header gives
// away, or directly, which the Origin header does.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentSecurityPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		if !s.o.AnyHost && !isLoopbackName(hostname(r.Host)) {
			fail(w, http.StatusForbidden, "host_not_allowed", "this server answers to loopback names only; open it as http://127.0.0.1 or http://localhost, or start it with --insecure to let every name in")
			return
		}
		if !sameOrigin(r) {
			fail(w, http.StatusForbidden, "origin_not_allowed", "pages of other origins may not connect to this server")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// sameOrigin reports whether a request comes from a page of this very server, or
// from something that is no page.
func sameOrigin(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return true
	}
	u, err := url.Parse(origins[0])
	return err == nil && len(origins) == 1 && u.Host != "" && strings.EqualFold(u.Host, r.Host)
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
