package server

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"stripchart/internal/access"
	"stripchart/internal/httperr"
	"stripchart/internal/socketio"
)

// gate decides who may do what. It looks at the credentials of a request once, in front of the
// request's handler, which finds the access.Session in the context, and no credentials any more.
//
// A token may come as Authorization: Bearer (ours, Prometheus), Token (InfluxDB 2), or Basic with
// the token as password (everything that knows passwords alone), as ?u=&p= on /write (InfluxDB 1),
// as the cookie of a browser that has signed in, and as auth: {token} of a Socket.IO CONNECT. In
// any other URL it would be in histories and logs, so it is not looked for there.
type gate struct {
	tokens     *access.Tokens // nil: there is nothing to decide
	cookies    *access.Cookies
	sessions   *access.Sessions
	publicRead bool
}

// need is what a route asks for.
type need uint8

const (
	needNothing need = iota // the page's files, probes: the same for everybody
	needToken               // a token, whatever it is for
	needRead
	needReadAll // to read, bound to no selector: the answer is about all series
	needWrite
	needJoin // as needRead, or no token yet: it may come with the CONNECT of Socket.IO
)

// refusal is why a request is not let in.
type refusal struct {
	status  int
	code    string
	message string
	cause   string // what WWW-Authenticate says beside the realm
}

func (e *refusal) Error() string { return e.message }

// Codes of refusals.
const (
	codeNoToken  = "token_required"
	codeBadToken = "token_invalid"
	codeScope    = "scope_missing"
	codeBound    = "token_bound"
)

var (
	errNoToken = &refusal{
		status: http.StatusUnauthorized, code: codeNoToken,
		message: "this server asks for a token: send it as Authorization: Bearer sc_..., or open /signin in a browser; `stripchart token add` makes one",
	}
	errBadToken = &refusal{
		status: http.StatusUnauthorized, code: codeBadToken, cause: `error="invalid_token"`,
		message: "this token is not valid, or not any more; ask for a new one, which `stripchart token add` makes",
	}
	errBound = &refusal{
		status: http.StatusForbidden, code: codeBound, cause: `error="insufficient_scope", scope="read"`,
		message: "this token is bound to a selector, and this answer is about all series; use a token without a selector",
	}
)

// errScope refuses a session that lacks a scope.
func errScope(s access.Session, scope access.Scope) *refusal {
	return &refusal{
		status: http.StatusForbidden, code: codeScope, cause: `error="insufficient_scope", scope="` + string(scope) + `"`,
		message: "the token " + s.Name + " lacks the scope " + string(scope) + ", which this needs; use a token of that scope",
	}
}

// refuses returns why a session does not get what n asks for; nil: it does.
func (n need) refuses(s access.Session) *refusal {
	lacks := func(scope access.Scope) *refusal {
		if s.Name == "" {
			return errNoToken
		}
		return errScope(s, scope)
	}
	switch {
	case n == needNothing, n == needJoin && s.Name == "":
	case n == needWrite && !s.Write:
		return lacks(access.Write)
	case n == needToken && !s.Read && !s.Write:
		return errNoToken
	case (n == needRead || n == needReadAll || n == needJoin) && !s.Read:
		return lacks(access.Read)
	case n == needReadAll && len(s.Matchers) > 0:
		return errBound
	}
	return nil
}

// Accept returns the session of a request. A token that is shown on purpose, and is wrong, is an
// error. A cookie is shown by itself, so one that is not valid any more counts as none.
func (g *gate) Accept(r *http.Request) (access.Session, error) {
	if g.tokens == nil {
		return access.Everybody(), nil
	}
	if text, shown := tokenOf(r); shown {
		t := g.tokens.Find(text)
		if t == nil {
			return access.Session{}, errBadToken
		}
		return g.session(t), nil
	}
	// A browser sends several cookies of the name where paths differ, the one for the longest first.
	for _, c := range r.CookiesNamed(g.cookies.Name()) {
		if t := g.cookies.Find(c.Value); t != nil {
			return g.session(t), nil
		}
	}
	return access.Session{Read: g.publicRead}, nil
}

// session returns the session of whoever has t.
func (g *gate) session(t *access.Token) access.Session {
	s := t.Session()
	s.Read = s.Read || g.publicRead
	return s
}

// tokenOf returns the token that a request shows, and whether it shows any.
func tokenOf(r *http.Request) (text string, shown bool) {
	if header := r.Header.Values("Authorization"); len(header) > 0 {
		kind, text, _ := strings.Cut(header[0], " ")
		text = strings.TrimSpace(text)
		switch {
		case len(header) > 1:
			return "", true
		case strings.EqualFold(kind, "Bearer"):
			return text, true
		case strings.EqualFold(kind, "Token"): // also user:password, as InfluxDB 1.8 takes it
			if _, password, is := strings.Cut(text, ":"); is {
				text = password
			}
			return text, true
		case strings.EqualFold(kind, "Basic"):
			if b, err := base64.StdEncoding.DecodeString(text); err == nil {
				_, password, _ := strings.Cut(string(b), ":")
				return password, true
			}
		}
		return "", true
	}
	if q := r.URL.Query(); r.URL.Path == "/write" && q.Has("p") {
		return q.Get("p"), true
	}
	return "", false
}

// conceal takes the credentials out of a request that was judged.
func conceal(r *http.Request) {
	r.Header.Del("Authorization")
	r.Header.Del("Cookie")
	if q := r.URL.Query(); r.URL.Path == "/write" && q.Has("p") {
		q.Del("p")
		u := *r.URL
		u.RawQuery = q.Encode()
		r.URL, r.RequestURI = &u, ""
	}
}

// wording answers a refused request in the form of a kind of route.
type wording func(w http.ResponseWriter, r *http.Request, status int, e httperr.Error)

func plainForm(w http.ResponseWriter, _ *http.Request, status int, e httperr.Error) {
	e.Write(w, status)
}

// admit returns next behind the judgement of each request. A request ends with its token.
func (s *Server) admit(n need, f wording, next http.Handler) http.Handler {
	g := s.gate
	if g.tokens == nil || n == needNothing {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// No cache between may hand the answer to somebody else.
		w.Header().Set("Cache-Control", "private, no-store")
		w.Header().Add("Vary", "Authorization, Cookie")
		session, err := g.Accept(r)
		refused, _ := err.(*refusal)
		if refused == nil {
			refused = n.refuses(session)
		}
		if refused != nil {
			w.Header().Set("WWW-Authenticate", refused.authenticate())
			s.refused.WithLabelValues(refused.code).Inc()
			leaveBody(w, r)
			f(w, r, refused.status, httperr.Error{Code: refused.code, Message: refused.message})
			return
		}
		ctx, cancel := context.WithCancel(access.With(r.Context(), session))
		defer cancel()
		answer := &answer{w: w, r: r}
		defer answer.finish()
		defer g.sessions.Hold(session, func() { cancel(); answer.cut() })()
		r = r.WithContext(ctx)
		conceal(r)
		next.ServeHTTP(w, r)
	})
}

// answer is one that is under way, and can be cut from outside of its handler.
type answer struct {
	w http.ResponseWriter
	r *http.Request

	mu       sync.Mutex
	finished bool
}

// cut ends the answer at once. What its client has not received yet, however slowly it reads, is not sent. Once
// finish has returned it does nothing: the connection may serve the request of somebody else.
func (a *answer) cut() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.finished {
		return
	}
	if c := connOf(a.r); a.r.ProtoMajor == 1 && c.TCPConn != nil {
		c.reset()
		return
	}
	_ = http.NewResponseController(a.w).SetWriteDeadline(time.Now()) // of HTTP/2, it resets the stream
}

func (a *answer) finish() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.finished = true
}

// authenticate is the value of WWW-Authenticate. Basic is not offered: browsers would ask for a
// password in a window of their own.
func (e *refusal) authenticate() string {
	const realm = `Bearer realm="stripchart"`
	if e.cause == "" {
		return realm
	}
	return realm + ", " + e.cause
}

// join returns the session of a Socket.IO client that enters a namespace: that of the token in
// auth, or of the request that opened the connection.
func (g *gate) join(c *socketio.Conn, auth json.RawMessage) (access.Session, error) {
	if g.tokens == nil {
		return access.Everybody(), nil
	}
	session := access.Session{Read: g.publicRead}
	if opened, ok := c.Session().Data.(*access.Session); ok {
		session = *opened
	}
	shown := struct {
		Token *json.RawMessage `json:"token"`
	}{}
	_ = json.Unmarshal(auth, &shown) // what is no object has no token
	if shown.Token != nil {
		var text string
		_ = json.Unmarshal(*shown.Token, &text) // what is no string is no token
		t := g.tokens.Find(text)
		if t == nil {
			return session, errBadToken.ofSocket()
		}
		session = g.session(t)
	}
	if !g.sessions.Holds(session) {
		return session, errBadToken.ofSocket()
	}
	if refused := needRead.refuses(session); refused != nil {
		return session, refused.ofSocket()
	}
	return session, nil
}

// ofSocket returns e as a refusal of a namespace. Pages tell by its code that they have to sign in.
func (e *refusal) ofSocket() error {
	return &socketio.ConnectError{Message: e.message, Data: map[string]string{"code": e.code}}
}

// localPath returns the path that a page is to return to, "./" for one that is not of this server.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || !strings.HasPrefix(next, "/") || u.Host != "" || u.Scheme != "" || strings.HasPrefix(next, "//") ||
		strings.ContainsFunc(next, func(c rune) bool { return c <= ' ' || c == '\\' || c > '~' }) {
		return "./"
	}
	return cmp.Or(next, "./")
}
