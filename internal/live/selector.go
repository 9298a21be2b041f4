package live

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/recent"
	"stripchart/internal/store"
	"stripchart/internal/wire"
)

// maxQueryBytes bounds a query.
const maxQueryBytes = 4096

// selector is a parsed query.
type selector struct {
	matchers  []*labels.Matcher
	canonical string // the same for every spelling; identifies the room
	name      string // that every series it matches has; "": any
	cost      int    // of its regular expressions, see store.RegexCost
}

// parseSelector reads query; the error is a *wire.Error.
func parseSelector(query string) (selector, error) {
	if strings.TrimSpace(query) == "" {
		return selector{}, &wire.Error{Code: wire.CodeBadQuery, Message: `the query is empty; give a selector such as load1{host="web1"}`}
	}
	if len(query) > maxQueryBytes {
		return selector{}, &wire.Error{Code: wire.CodeBadQuery, Message: "the query is longer than 4,096 bytes; shorten it"}
	}
	ms, err := store.ParseSelector(query)
	switch {
	case store.IsUnsupported(err):
		return selector{}, &wire.Error{Code: wire.CodeUnsupportedQuery, Message: err.Error()}
	case err != nil:
		return selector{}, &wire.Error{Code: wire.CodeBadQuery, Message: err.Error()}
	}
	return newSelector(ms), nil
}

func newSelector(ms []*labels.Matcher) selector {
	var s selector
	forms := make([]string, len(ms))
	for i, m := range ms {
		forms[i] = m.String()
		switch {
		case isRegex(m):
			s.cost += store.RegexCost(m.Value)
		case m.Type == labels.MatchEqual && m.Name == recent.NameLabel:
			s.name = m.Value
		}
	}
	slices.Sort(forms)
	s.matchers, s.canonical = ms, "{"+strings.Join(slices.Compact(forms), ",")+"}"
	return s
}

// within returns the selector of what both s and the matchers of a bound match.
func (s selector) within(bound []*labels.Matcher) selector {
	if len(bound) == 0 {
		return s
	}
	return newSelector(slices.Concat(s.matchers, bound))
}

// matches reports whether every matcher accepts ls.
func matches(ms []*labels.Matcher, ls labels.Labels) bool {
	for _, m := range ms {
		if !m.Matches(ls.Get(m.Name)) {
			return false
		}
	}
	return true
}

func isRegex(m *labels.Matcher) bool {
	return m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp
}

// roomID is "r-" and the first 64 bits of the SHA-256 of the canonical selector in
// hexadecimal: the same on every server, and nobody can make a query that takes
// another one's place.
func (s selector) roomID() string {
	sum := sha256.Sum256([]byte(s.canonical))
	return "r-" + hex.EncodeToString(sum[:8])
}

// compiled holds the regular expressions that searches use, each once. recent.Log.Mu guards them.
type compiled map[string]*sharedMatcher

type sharedMatcher struct {
	matcher *labels.Matcher
	users   int
}

// share returns s with matchers that are used by others already, where there are such.
func (c compiled) share(s selector) selector {
	s.matchers = slices.Clone(s.matchers)
	for i, m := range s.matchers {
		if !isRegex(m) {
			continue
		}
		key := m.String()
		if c[key] == nil {
			c[key] = &sharedMatcher{matcher: m}
		}
		c[key].users++
		s.matchers[i] = c[key].matcher
	}
	return s
}

// release gives back what share has returned.
func (c compiled) release(s selector) {
	for _, m := range s.matchers {
		if !isRegex(m) {
			continue
		}
		key := m.String()
		if c[key].users--; c[key].users == 0 {
			delete(c, key)
		}
	}
}
