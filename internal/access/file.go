package access

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"stripchart/internal/datadir"
)

// Bounds of a token file.
const (
	maxFile   = 1 << 20
	maxTokens = 1000
)

// parse reads the text of a token file: a token on each line; a line that is empty, or that
// begins with #, has none. An error names the line, and nothing of what stands there.
func (r Rules) parse(text []byte) ([]*Token, error) {
	var all []*Token
	names, hashes := map[string]int{}, map[[32]byte]int{}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		var e Entry
		in := json.NewDecoder(bytes.NewReader(line))
		in.DisallowUnknownFields()
		if err := in.Decode(&e); err != nil || in.More() {
			return nil, fmt.Errorf("line %d is no entry such as `stripchart token add` writes", number)
		}
		t, err := r.Check(e)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if first := names[t.Name]; first > 0 {
			return nil, fmt.Errorf("line %d has the name of line %d", number, first)
		}
		if first := hashes[t.hash]; first > 0 {
			return nil, fmt.Errorf("line %d has the token of line %d", number, first)
		}
		if len(all) == maxTokens {
			return nil, fmt.Errorf("line %d: a file may have %d tokens", number, maxTokens)
		}
		names[t.Name], hashes[t.hash] = number, number
		all = append(all, t)
	}
	return all, nil
}

// errOthersRead means that other users of the machine can read or change a file of secrets.
var errOthersRead = errors.New("other users can read or change it; set its mode to 0600")

// checkMode returns an error for a file of secrets that others can read or change. Windows
// has no such bits.
func checkMode(info fs.FileInfo) error {
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return errOthersRead
	}
	return nil
}

// Editor changes a token file. Each change has the file locked from its read to its end, so that of two changes
// at once, also by two processes, none is lost.
type Editor struct {
	Path  string
	Rules Rules
}

// List returns the tokens of the file.
func (f Editor) List() ([]Entry, error) {
	text, err := f.text()
	if err != nil {
		return nil, err
	}
	all, err := f.Rules.parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	entries := make([]Entry, len(all))
	for i, t := range all {
		entries[i] = t.Entry
	}
	return entries, nil
}

// Add adds an entry for a new token, whose text it returns. A file that is not there is made.
func (f Editor) Add(e Entry) (text string, err error) {
	release, err := datadir.TakeFile(f.Path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, release()) }()
	old, err := f.text()
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return "", err
	}
	text = NewToken()
	e.SHA256 = Hash(text)
	if _, err := f.Rules.Check(e); err != nil {
		return "", err
	}
	line, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	if len(old) > 0 && old[len(old)-1] != '\n' {
		old = append(old, '\n')
	}
	return text, f.replace(append(append(old, line...), '\n'))
}

// errNoToken means that a name is not in the file.
var errNoToken = errors.New("no token has this name; `stripchart token list` shows the names")

// Remove removes the token of a name. Comments stay.
func (f Editor) Remove(name string) (err error) {
	release, err := datadir.TakeFile(f.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	old, err := f.text()
	if err != nil {
		return err
	}
	if _, err := f.Rules.parse(old); err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	var kept []byte
	found := false
	for line := range bytes.Lines(old) {
		var e Entry
		if json.Unmarshal(line, &e) == nil && e.Name == name {
			found = true
			continue
		}
		kept = append(kept, line...)
	}
	if !found {
		return fmt.Errorf("%s: %w", name, errNoToken)
	}
	return f.replace(kept)
}

func (f Editor) text() ([]byte, error) {
	text, err := os.ReadFile(f.Path)
	if err != nil {
		return nil, err
	}
	return text, nil
}

// replace writes the file, of mode 0600, once its new text was checked.
func (f Editor) replace(text []byte) error {
	if _, err := f.Rules.parse(text); err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	if len(text) > maxFile {
		return fmt.Errorf("%s: a token file may have %d bytes", f.Path, maxFile)
	}
	return datadir.ReplacePrivate(f.Path, text)
}
