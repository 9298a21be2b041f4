package live

import (
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/store"
	"stripchart/internal/wire"
)

// maxQueryBytes bounds a query.
const maxQueryBytes = 4096

// selector is a parsed query.
type selector struct {
	matchers  []*labels.Matcher
	canonical string // the same for every spelling; identifies the room
}

// parseSelector reads query; the error is a *wire.Error.
func parseSelector(query string) (selector, error) {
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
	forms := make([]string, len(ms))
	for i, m := range ms {
		forms[i] = m.String()
	}
	slices.Sort(forms)
	return selector{matchers: ms, canonical: "{" + strings.Join(slices.Compact(forms), ",") + "}"}
}

// roomID is "r-" and the hash of the canonical selector in hexadecimal: the same
// on every server.
func (s selector) roomID() string {
	h := strconv.FormatUint(xxhash.Sum64String(s.canonical), 16)
	return "r-" + strings.Repeat("0", 16-len(h)) + h
}
