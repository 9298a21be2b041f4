package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// Prefix begins every token, so that scanners for secrets recognize one.
const Prefix = "sc_"

// tokenBytes are the random bytes of a token.
const tokenBytes = 32

// Scope is what a token is for.
type Scope string

// The scopes.
const (
	Read  Scope = "read"  // to look: the page's data, the HTTP API, /metrics
	Write Scope = "write" // to write samples
)

// Bounds of an entry.
const (
	maxName       = 64
	maxLabels     = 16
	maxLabelBytes = 1 << 10 // of all names and values together
)

// Entry is a token as the file has it: a line of JSON.
//
//	{"name":"phone","scope":"read","sha256":"9f86d0...","match":"load1{host=\"web1\"}"}
//	{"name":"lab","scope":"write","sha256":"60303a...","labels":{"room":"lab"},"source":"lab-1"}
//
// SHA-256 without salt and without many rounds is enough. Both protect passwords that people
// choose, and that can be guessed. A token has 256 random bits: trying tokens against a hash
// is as hopeless as trying them against the server.
type Entry struct {
	Name   string            `json:"name"`
	Scope  Scope             `json:"scope"`
	SHA256 string            `json:"sha256"`           // of the token's text, hexadecimal
	Match  string            `json:"match,omitempty"`  // of a read token: the selector of what it may see
	Labels map[string]string `json:"labels,omitempty"` // of a write token: every series gets them
	Source string            `json:"source,omitempty"` // of a write token: the only one it may name
}

// Token is a checked Entry.
type Token struct {
	Entry

	hash     [sha256.Size]byte
	matchers []*labels.Matcher
	labels   labels.Labels
}

// Rules check the parts of an entry whose form other packages know.
type Rules struct {
	Selector func(string) ([]*labels.Matcher, error)
	Source   func(string) error
}

// NewToken returns the text of a new token.
func NewToken() string {
	b := make([]byte, tokenBytes)
	_, _ = rand.Read(b) // it never fails
	return Prefix + base64.RawURLEncoding.EncodeToString(b)
}

// Hash returns what a file has of a token.
func Hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// nameForm is the form of a token's name: it can stand in a log line, a cookie and a URL.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9._@-]{1,64}$`)

// Check returns e as a token, or what is wrong with it.
func (r Rules) Check(e Entry) (*Token, error) {
	t := &Token{Entry: e}
	sum, err := hex.DecodeString(e.SHA256)
	switch {
	case !nameForm.MatchString(e.Name):
		return nil, fmt.Errorf("the name of a token has 1 to %d letters, digits and . _ @ -", maxName)
	case err != nil || len(sum) != sha256.Size:
		return nil, errors.New("sha256 must have 64 hexadecimal digits")
	}
	copy(t.hash[:], sum)
	switch e.Scope {
	case Read:
		if len(e.Labels) > 0 || e.Source != "" {
			return nil, errors.New("labels and a source are for tokens of the scope write")
		}
	case Write:
		if e.Match != "" {
			return nil, errors.New("a selector is for tokens of the scope read")
		}
	default:
		return nil, fmt.Errorf("the scope must be read or write, not %.20q", e.Scope)
	}
	if e.Match != "" {
		if t.matchers, err = r.Selector(e.Match); err != nil {
			return nil, fmt.Errorf("selector %.200q: %w", e.Match, err)
		}
	}
	if e.Source != "" {
		if err := r.Source(e.Source); err != nil {
			return nil, err
		}
	}
	t.labels, err = checkLabels(e.Labels)
	return t, err
}

func checkLabels(m map[string]string) (labels.Labels, error) {
	size := 0
	for name, value := range m {
		size += len(name) + len(value)
		switch {
		case name == "" || value == "":
			return labels.EmptyLabels(), errors.New("a label needs a name and a value")
		case name == model.MetricNameLabel:
			return labels.EmptyLabels(), errors.New("the name of a series cannot be set by a token")
		case !utf8.ValidString(name) || !utf8.ValidString(value):
			return labels.EmptyLabels(), fmt.Errorf("label %.40q: not UTF-8", name)
		}
	}
	if len(m) > maxLabels || size > maxLabelBytes {
		return labels.EmptyLabels(), fmt.Errorf("a token may have %d labels, of %d bytes together", maxLabels, maxLabelBytes)
	}
	return labels.FromMap(m), nil
}

// equal reports whether t and o are the same entry.
func (t *Token) equal(o *Token) bool {
	return t.Name == o.Name && t.Scope == o.Scope && t.hash == o.hash && t.Match == o.Match && t.Source == o.Source && maps.Equal(t.Labels, o.Labels)
}

// Bound returns what a token is bound to, "" for nothing, for `stripchart token list`.
func (e Entry) Bound() string {
	var parts []string
	if e.Match != "" {
		parts = append(parts, "match "+e.Match)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Labels)) {
		parts = append(parts, "label "+name+"="+e.Labels[name])
	}
	if e.Source != "" {
		parts = append(parts, "source "+e.Source)
	}
	return strings.Join(parts, ", ")
}
