package server

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"stripchart/internal/access"
	"stripchart/internal/httperr"
)

// signInPath is where a browser turns a token into a cookie.
const signInPath = "/signin"

// maxSignIn bounds the bytes of a sign-in.
const maxSignIn = 8 << 10

//go:embed signin.html
var signInPage string

// signInPolicy lets the page have its own style, and send its form here.
var signInPolicy = "default-src 'none'; style-src 'sha256-" + styleHash(signInPage) + "'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// styleHash returns the hash of a page's <style>, as a policy has it.
func styleHash(page string) string {
	_, rest, _ := strings.Cut(page, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Codes of a sign-in that has failed, beside those of gate.
const (
	codeTooManyAttempts = "too_many_attempts"
	codeBadSignIn       = "bad_sign_in"
)

// signIn shows a form for a token, and answers the form, or a program, with a cookie. The answer to
// a wrong token is always the same, until there were too many from an address: then it says so. A right one never waits.
type signIn struct {
	s        *Server
	attempts *access.Attempts

	proxyLogged sync.Once
}

func (x *signIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			leaveBody(w, r)
			x.show(w, http.StatusOK, "", r.URL.Query().Get("next"))
			return
		}
		w.Header().Set("Allow", "GET, HEAD, POST")
		fail(w, r, http.StatusMethodNotAllowed, "method_not_allowed", "use GET for the page, and POST to sign in")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxSignIn)
	if err := r.ParseForm(); err != nil {
		x.refuse(w, r, "", &refusal{status: http.StatusBadRequest, code: codeBadSignIn, message: "the form cannot be read; send token=sc_... as application/x-www-form-urlencoded"})
		return
	}
	next := r.PostForm.Get("next")
	t := x.s.gate.tokens.Find(strings.TrimSpace(r.PostForm.Get("token")))
	switch {
	case t == nil:
		x.wrong(w, r, next)
		return
	case t.Scope != access.Read: // so that no cookie can write
		x.refuse(w, r, next, errScope(t.Session(), access.Read))
		return
	}
	// Without Path, the browser takes the folder of this address, which may be below a proxy's path.
	http.SetCookie(w, &http.Cookie{
		Name: x.s.gate.cookies.Name(), Value: x.s.gate.cookies.Make(t), MaxAge: int(access.CookieAge.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: x.s.o.Reach.isOverTLS(r),
	})
	if !wantsPage(r) {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Location", localPath(next))
	w.WriteHeader(http.StatusSeeOther)
}

// wrong answers a token that is not valid. Only such ones are counted and have to wait: behind a proxy that is not
// known (--trusted-proxy) all clients have one address, and a stranger's attempts must not keep the others out.
func (x *signIn) wrong(w http.ResponseWriter, r *http.Request, next string) {
	if len(x.s.o.Reach.Proxies) == 0 && r.Header.Get("X-Forwarded-For") != "" {
		x.proxyLogged.Do(func() {
			x.s.o.Log.Warn("a request came through a proxy that is not known, so wrong tokens of all its clients count as those of one address; name the proxy with --trusted-proxy", "peer", r.RemoteAddr)
		})
	}
	peer := peerOf(r)
	if wait := x.attempts.Wait(peer); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		x.refuse(w, r, next, &refusal{status: http.StatusTooManyRequests, code: codeTooManyAttempts, message: "too many attempts to sign in have failed; try again in a minute, or with a token that is valid"})
		return
	}
	x.attempts.Failed(peer)
	x.refuse(w, r, next, errBadToken)
}

// refuse answers with the page and what is wrong, or, for a program, with an error.
func (x *signIn) refuse(w http.ResponseWriter, r *http.Request, next string, e *refusal) {
	x.s.refused.WithLabelValues(e.code).Inc()
	leaveBody(w, r)
	if e.status == http.StatusUnauthorized || e.status == http.StatusForbidden {
		w.Header().Set("WWW-Authenticate", e.authenticate())
	}
	if wantsPage(r) {
		x.show(w, e.status, e.message, next)
		return
	}
	httperr.Error{Code: e.code, Message: e.message}.Write(w, e.status)
}

// show sends the page.
func (x *signIn) show(w http.ResponseWriter, status int, problem, next string) {
	w.Header().Set("Content-Security-Policy", signInPolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	page := strings.NewReplacer("__PROBLEM__", html.EscapeString(problem), "__NEXT__", html.EscapeString(localPath(next))).Replace(signInPage)
	_, _ = w.Write([]byte(page)) // if it fails, the client is gone
}

// isOverTLS reports whether the page that signs in came over TLS. Its origin, which guard has judged, says so even
// where the proxy does not. What comes over TLS, or is no page, is not asked what it says of itself.
func (r *Reach) isOverTLS(q *http.Request) bool {
	if from := q.Header.Get("Origin"); q.TLS == nil && from != "" {
		return strings.HasPrefix(from, "https://")
	}
	return q.TLS != nil || r.Public != nil && r.Public.Scheme == "https" || scheme(q) == "https"
}

// wantsPage reports whether r is a browser's, and not a program's or a script's.
func wantsPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// peerOf returns the address that r is counted by.
func peerOf(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return network(ap.Addr())
}
