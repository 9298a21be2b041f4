package access

import (
	"crypto/sha256"
	"log/slog"
)

// RunName is the name of a token of AddForRun. No token of a file can have it.
const RunName = "(share)"

// WithoutFile returns tokens of no file: none, until AddForRun.
func WithoutFile(log *slog.Logger) *Tokens {
	t := &Tokens{log: log, changed: func() {}}
	t.list.Store(&[]*Token{})
	return t
}

// AddForRun makes a token to look, which is in no file and lasts as long as t, and returns its text. It is
// called before Run.
func (t *Tokens) AddForRun() (text string) {
	text = NewToken()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.run = &Token{Entry: Entry{Name: RunName, Scope: Read, SHA256: Hash(text)}, hash: sha256.Sum256([]byte(text))}
	t.replace(*t.list.Load())
	return text
}

// replace makes those of the file and that of this run the tokens. The caller holds t.mu.
func (t *Tokens) replace(ofFile []*Token) {
	if t.run != nil {
		ofFile = append(ofFile[:len(ofFile):len(ofFile)], t.run)
	}
	t.list.Store(&ofFile)
}
