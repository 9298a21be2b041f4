package access

import (
	"context"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
)

// Session is what one request, or one connection, may do. The zero value may do nothing.
type Session struct {
	Name        string // of the token; "" without one
	Read, Write bool
	// Matchers bind the reader: it may see only what all of them match. None: everything.
	Matchers []*labels.Matcher
	// Labels are set on every series that the session writes, in place of its own.
	Labels labels.Labels
	// Source is the only one that the session may name as a batch's; "": any.
	Source string

	token *Token // nil without one
}

// Everybody is the session of a server without tokens.
func Everybody() Session { return Session{Read: true, Write: true} }

// Session returns the session of whoever has t.
func (t *Token) Session() Session {
	return Session{
		Name: t.Name, Read: t.Scope == Read, Write: t.Scope == Write,
		Matchers: t.matchers, Labels: t.labels, Source: t.Source, token: t,
	}
}

// Owner tells the sessions of one token from those of others; "" without one. It is no secret, and the same
// before and after the file is read anew.
func (s Session) Owner() string {
	if s.token == nil {
		return ""
	}
	return s.token.SHA256
}

type sessionKey struct{}

// With returns a context with a session.
func With(ctx context.Context, s Session) context.Context {
	return context.WithValue(ctx, sessionKey{}, s)
}

// Of returns the session of a context. A context that came through no server, as in a call
// within this process, has that of everybody.
func Of(ctx context.Context) Session {
	if s, ok := ctx.Value(sessionKey{}).(Session); ok {
		return s
	}
	return Everybody()
}

// Sessions are the requests and connections under way that a token allows. There are no more
// than the listener lets in.
type Sessions struct {
	tokens *Tokens // nil: a server without tokens, whose sessions never end

	mu   sync.Mutex
	held map[*held]struct{}
}

// held is one request or connection.
type held struct {
	token *Token
	end   func()
}

// NewSessions returns the sessions of tokens, which may be nil. They end as the tokens change.
func NewSessions(tokens *Tokens) *Sessions {
	s := &Sessions{tokens: tokens, held: map[*held]struct{}{}}
	if tokens != nil {
		tokens.OnChange(s.sweep)
	}
	return s
}

// Hold has end called, once at most, when the token of a session is removed or changed; at
// once where that has happened already. end must not block, nor call release. After release
// it is not called any more.
func (s *Sessions) Hold(x Session, end func()) (release func()) {
	if s.tokens == nil || x.token == nil {
		return func() {}
	}
	h := &held{x.token, end}
	s.mu.Lock()
	s.held[h] = struct{}{}
	s.mu.Unlock()
	// Behind the registration: a change is seen here, or its sweep sees h.
	if !s.tokens.holds(x.token) {
		s.endOf(h)
	}
	return func() { s.take(h) }
}

// Holds reports whether a session may still be used: its token has not been removed or changed.
func (s *Sessions) Holds(x Session) bool {
	return s.tokens == nil || x.token == nil || s.tokens.holds(x.token)
}

func (s *Sessions) take(h *held) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, there := s.held[h]
	delete(s.held, h)
	return there
}

func (s *Sessions) endOf(h *held) {
	if s.take(h) {
		h.end()
	}
}

// sweep ends the sessions whose token was removed or changed.
func (s *Sessions) sweep() {
	s.mu.Lock()
	gone := map[*Token]bool{}
	var over []*held
	for h := range s.held {
		is, known := gone[h.token]
		if !known {
			is = !s.tokens.holds(h.token)
			gone[h.token] = is
		}
		if is {
			over = append(over, h)
		}
	}
	s.mu.Unlock()
	for _, h := range over {
		s.endOf(h)
	}
}

var sessionsDesc = prometheus.NewDesc("stripchart_sessions", "Requests and Socket.IO namespaces under way that a token allows. They are bounded by the open connections.", nil, nil)

// Describe implements prometheus.Collector.
func (s *Sessions) Describe(out chan<- *prometheus.Desc) { out <- sessionsDesc }

// Collect implements prometheus.Collector.
func (s *Sessions) Collect(out chan<- prometheus.Metric) {
	s.mu.Lock()
	n := len(s.held)
	s.mu.Unlock()
	out <- prometheus.MustNewConstMetric(sessionsDesc, prometheus.GaugeValue, float64(n))
}
