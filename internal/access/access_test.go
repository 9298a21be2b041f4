package access

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"go.uber.org/goleak"

	"stripchart/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rules take a selector of one name, and a source without spaces.
var rules = Rules{
	Selector: func(s string) ([]*labels.Matcher, error) {
		if strings.ContainsAny(s, "(") {
			return nil, errors.New("not a selector")
		}
		return []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "__name__", s)}, nil
	},
	Source: func(s string) error {
		if strings.Contains(s, " ") {
			return errors.New("the name of a source has no spaces")
		}
		return nil
	},
}

// rig is a token file and what is read of it.
type rig struct {
	t      *testing.T
	file   Editor
	log    *testkit.Log
	tokens *Tokens
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return &rig{t: t, file: Editor{filepath.Join(t.TempDir(), "tokens"), rules}, log: &testkit.Log{}}
}

func (r *rig) add(e Entry) string {
	r.t.Helper()
	text, err := r.file.Add(e)
	if err != nil {
		r.t.Fatal(err)
	}
	return text
}

func (r *rig) open() {
	r.t.Helper()
	var err error
	if r.tokens, err = Open(r.file.Path, rules, r.log.Logger()); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) write(text string) {
	r.t.Helper()
	if err := os.WriteFile(r.file.Path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) read() string {
	r.t.Helper()
	b, err := os.ReadFile(r.file.Path)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(b)
}

func TestATokenIsFoundByItsTextAndTheFileHasOnlyItsHash(t *testing.T) {
	r := newRig(t)
	phone := r.add(Entry{Name: "phone", Scope: Read, Match: "load1"})
	lab := r.add(Entry{Name: "lab", Scope: Write, Labels: map[string]string{"room": "lab"}, Source: "lab-1"})
	if !strings.HasPrefix(phone, "sc_") || len(phone) != 3+43 || phone == lab {
		t.Errorf("tokens %q and %q", phone, lab)
	}
	if text := r.read(); strings.Contains(text, phone) || strings.Contains(text, lab) {
		t.Errorf("the file has a token:\n%s", text)
	}
	if info, err := os.Stat(r.file.Path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	r.open()
	s := r.tokens.Find(phone).Session()
	if s.Name != "phone" || !s.Read || s.Write || len(s.Matchers) != 1 {
		t.Errorf("%+v", s)
	}
	s = r.tokens.Find(lab).Session()
	if s.Name != "lab" || s.Read || !s.Write || s.Labels.Get("room") != "lab" || s.Source != "lab-1" {
		t.Errorf("%+v", s)
	}
	for _, wrong := range []string{"", "sc_", phone[:len(phone)-1], phone + "x", strings.ToUpper(phone), Hash(phone)} {
		if x := r.tokens.Find(wrong); x != nil {
			t.Errorf("%q is the token %s", wrong, x.Name)
		}
	}
}

func TestWhatATokenCannotBeIsRefused(t *testing.T) {
	r := newRig(t)
	r.add(Entry{Name: "there", Scope: Read})
	for says, e := range map[string]Entry{
		"the name of a token":  {Name: "a b", Scope: Read},
		"the name of a tok":    {Name: "", Scope: Read},
		"the name of a":        {Name: strings.Repeat("x", 65), Scope: Read},
		"scope must be":        {Name: "a", Scope: "admin"},
		"for tokens of the sc": {Name: "a", Scope: Write, Match: "up"},
		"labels and a source":  {Name: "a", Scope: Read, Source: "x"},
		"labels and a":         {Name: "a", Scope: Read, Labels: map[string]string{"a": "b"}},
		"not a selector":       {Name: "a", Scope: Read, Match: "rate(x)"},
		"no spaces":            {Name: "a", Scope: Write, Source: "a b"},
		"needs a name and":     {Name: "a", Scope: Write, Labels: map[string]string{"a": ""}},
		"cannot be set":        {Name: "a", Scope: Write, Labels: map[string]string{"__name__": "x"}},
		"not UTF-8":            {Name: "a", Scope: Write, Labels: map[string]string{"a": "\xff"}},
		"bytes together":       {Name: "a", Scope: Write, Labels: map[string]string{"a": strings.Repeat("x", 1024)}},
		"has the name of":      {Name: "there", Scope: Write},
	} {
		before := r.read()
		if text, err := r.file.Add(e); err == nil || !strings.Contains(err.Error(), says) || text == "" && r.read() != before {
			t.Errorf("%+v: %v", e, err)
		}
	}
}

func TestADamagedFileChangesNothingAndTheLogNamesItsLine(t *testing.T) {
	r := newRig(t)
	phone := r.add(Entry{Name: "phone", Scope: Read})
	r.open()
	good := r.read()
	for name, c := range map[string]struct{ text, says string }{
		"half a line":     {good + `{"name":"x","sc`, "line 2"},
		"no JSON":         {"# a comment\n\nsc_secret\n" + good, "line 3"},
		"an unknown name": {strings.Replace(good, `"scope"`, `"scoop"`, 1), "line 1"},
		"the same twice":  {good + good, "line 2 has the name of line 1"},
		"a short hash":    {strings.Replace(good, `"sha256":"`, `"sha256":"zz`, 1), "line 1: sha256"},
		"very much":       {strings.Repeat("# \n", maxFile/3+1), "bytes"},
	} {
		r.log.Reset()
		r.write(c.text)
		r.tokens.Poll()
		r.tokens.Poll()
		said := r.log.String()
		if r.tokens.Find(phone) == nil {
			t.Errorf("%s: the token is not valid any more", name)
		}
		if !strings.Contains(said, c.says) || strings.Count(said, "\n") != 1 || strings.Contains(said, "sc_secret") || strings.Contains(said, Hash(phone)) {
			t.Errorf("%s: the log says\n%s", name, said)
		}
		if _, err := Open(r.file.Path, rules, r.log.Logger()); err == nil {
			t.Errorf("%s: a start with it succeeds", name)
		}
	}
	if err := os.Remove(r.file.Path); err != nil {
		t.Fatal(err)
	}
	r.tokens.Poll()
	if r.tokens.Find(phone) == nil {
		t.Error("without its file the token is not valid any more")
	}
	r.write("")
	r.tokens.Poll()
	if r.tokens.Find(phone) != nil {
		t.Error("with an empty file the token is valid")
	}
}

func TestAFileThatOthersCanReadIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such bits")
	}
	r := newRig(t)
	phone := r.add(Entry{Name: "phone", Scope: Read})
	r.open()
	if err := os.Chmod(r.file.Path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(r.file.Path, rules, r.log.Logger()); err == nil || !strings.Contains(err.Error(), "0600") {
		t.Errorf("a start: %v", err)
	}
	r.tokens.Poll()
	if r.tokens.Find(phone) == nil || !strings.Contains(r.log.String(), "0600") {
		t.Errorf("the log says\n%s", r.log)
	}
	// Adding a token makes the file private again.
	r.add(Entry{Name: "other", Scope: Read})
	r.open()
}

func TestAStartWithoutTheFileSaysHowToMakeIt(t *testing.T) {
	r := newRig(t)
	if _, err := Open(r.file.Path, rules, r.log.Logger()); err == nil || !strings.Contains(err.Error(), "stripchart token add NAME --scope read --token-file "+r.file.Path) {
		t.Error(err)
	}
}

func TestRemoveLeavesTheOthersAndTheComments(t *testing.T) {
	r := newRig(t)
	r.write("# of the lab\n")
	first := r.add(Entry{Name: "first", Scope: Read})
	second := r.add(Entry{Name: "second", Scope: Write})
	if err := r.file.Remove("third"); err == nil || !strings.Contains(err.Error(), "token list") {
		t.Error(err)
	}
	if err := r.file.Remove("first"); err != nil {
		t.Fatal(err)
	}
	r.open()
	if r.tokens.Find(first) != nil || r.tokens.Find(second) == nil || !strings.HasPrefix(r.read(), "# of the lab\n") {
		t.Errorf("the file is\n%s", r.read())
	}
	if list, err := r.file.List(); err != nil || len(list) != 1 || list[0].Name != "second" {
		t.Errorf("%v, %v", list, err)
	}
}

// Run sees every change within two seconds, and a session ends with it. The session of a
// token that stays does not.
func TestASessionEndsWithItsTokenWithinTwoSeconds(t *testing.T) {
	changes := map[string]func(*rig) error{
		"removed": func(r *rig) error { return r.file.Remove("gone") },
		"changed": func(r *rig) error {
			return os.WriteFile(r.file.Path, []byte(strings.Replace(r.read(), `"match":"load1"`, `"match":"load5"`, 1)), 0o600)
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			gone, stays := r.add(Entry{Name: "gone", Scope: Read, Match: "load1"}), r.add(Entry{Name: "stays", Scope: Read})
			synctest.Test(t, func(t *testing.T) {
				r.open()
				s := NewSessions(r.tokens)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go r.tokens.Run(ctx)
				old := r.tokens.Find(gone).Session()
				ended := make(chan string, 9)
				release := s.Hold(old, func() { ended <- "gone" })
				s.Hold(old, func() { ended <- "released" })()
				releaseOther := s.Hold(r.tokens.Find(stays).Session(), func() { ended <- "stays" })
				s.Hold(Everybody(), func() { ended <- "everybody" })
				time.Sleep(10*time.Second + pollEvery/2) // not while Run reads: a file that is written in place is empty first
				if err := change(r); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if len(ended) != 1 || <-ended != "gone" {
					t.Errorf("%d sessions have ended", len(ended))
				}
				if s.Holds(old) {
					t.Error("the session may still be used")
				}
				// One that came in between ends at once.
				s.Hold(old, func() { ended <- "late" })
				if len(ended) != 1 || <-ended != "late" {
					t.Error("a late session goes on")
				}
				release()
				releaseOther()
				if len(s.held) != 0 {
					t.Errorf("%d sessions are held", len(s.held))
				}
			})
		})
	}
}

// A program that writes a file in place empties it first: whoever is signed in does not notice.
func TestAFileThatIsBeingWrittenEndsNoSession(t *testing.T) {
	r := newRig(t)
	stays := r.add(Entry{Name: "stays", Scope: Read})
	whole := r.read()
	later := r.add(Entry{Name: "later", Scope: Read})
	longer := r.read()
	r.write(whole)
	synctest.Test(t, func(t *testing.T) {
		r.open()
		s := NewSessions(r.tokens)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go r.tokens.Run(ctx)
		ended := false
		release := s.Hold(r.tokens.Find(stays).Session(), func() { ended = true })
		time.Sleep(10*time.Second + pollEvery/2)
		for _, text := range []string{"", longer[:20], longer} {
			r.write(text)
			time.Sleep(pollEvery)
		}
		time.Sleep(pollEvery)
		synctest.Wait()
		if ended || r.tokens.Find(stays) == nil {
			t.Error("the session has ended")
		}
		if r.tokens.Find(later) == nil {
			t.Error("the file that was written was not read")
		}
		if said := r.log.String(); strings.Contains(said, "level=ERROR") {
			t.Errorf("the log says\n%s", said)
		}
		release()
	})
}

func TestACookieEndsWithItsTokenAndItsTime(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	phone := r.add(Entry{Name: "phone", Scope: Read})
	r.add(Entry{Name: "other", Scope: Read})
	r.open()
	c, err := OpenCookies(r.tokens, dir)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	c.now = func() time.Time { return now }
	token := r.tokens.Find(phone)
	value := c.Make(token)
	if c.Find(value) != token || strings.Contains(value, phone) || strings.Contains(value, token.SHA256) {
		t.Errorf("cookie %q", value)
	}
	again, err := OpenCookies(r.tokens, dir) // the next start
	if err != nil || again.Name() != c.Name() || again.Find(value) != token {
		t.Errorf("after a restart: %v", err)
	}
	other, err := OpenCookies(r.tokens, t.TempDir())
	if err != nil || other.Name() == c.Name() || other.Find(value) != nil {
		t.Errorf("another server takes the cookie: %v", err)
	}
	for i := range value {
		b := []byte(value)
		b[i] ^= 1
		if c.Find(string(b)) != nil {
			t.Errorf("changed at %d, the cookie is taken", i)
		}
	}
	for _, wrong := range []string{"", "~", "~~", "phone", "phone~", "phone~9999999999", "phone~9999999999~", strings.Replace(value, "phone", "other", 1), value + "~"} {
		if c.Find(wrong) != nil {
			t.Errorf("%q is taken", wrong)
		}
	}
	now = now.Add(CookieAge - time.Second)
	if c.Find(value) == nil {
		t.Error("the cookie has expired too early")
	}
	if now = now.Add(time.Second); c.Find(value) != nil {
		t.Error("the cookie has not expired")
	}
	now = now.Add(-CookieAge)
	// The token is replaced by another one of the same name.
	if err := r.file.Remove("phone"); err != nil {
		t.Fatal(err)
	}
	r.add(Entry{Name: "phone", Scope: Read})
	r.tokens.Poll()
	if c.Find(value) != nil {
		t.Error("the cookie is taken for another token")
	}
	if info, err := os.Stat(filepath.Join(dir, keyName)); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v", info.Mode(), err)
	}
}

func TestFailedAttemptsAreBoundedForEachAddress(t *testing.T) {
	a := NewAttempts()
	now := time.Now()
	a.now = func() time.Time { return now }
	bad, good := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for n := range attemptsAtOnce {
		if a.Wait(bad) != 0 {
			t.Fatalf("attempt %d is refused", n)
		}
		a.Failed(bad)
	}
	if wait := a.Wait(bad); wait <= 0 || wait > attemptEvery {
		t.Errorf("it waits %v", wait)
	}
	if a.Wait(good) != 0 {
		t.Error("another address has to wait")
	}
	if now = now.Add(attemptEvery); a.Wait(bad) != 0 {
		t.Error("it has to wait for longer than it was told")
	}
	a.Failed(bad)
	if a.Wait(bad) == 0 {
		t.Error("it has more than one attempt")
	}
	for n := range 2 * maxAddresses {
		a.Failed(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}))
	}
	if len(a.of) != maxAddresses || a.order.Len() != maxAddresses {
		t.Errorf("%d addresses are remembered", len(a.of))
	}
}

func TestAFileHasABoundedNumberOfTokens(t *testing.T) {
	var text strings.Builder
	for n := range maxTokens + 1 {
		fmt.Fprintf(&text, "{\"name\":\"t%d\",\"scope\":\"read\",\"sha256\":%q}\n", n, Hash(fmt.Sprint(n)))
	}
	if _, err := rules.parse([]byte(text.String())); err == nil || !strings.Contains(err.Error(), "line 1001: a file may have 1000 tokens") {
		t.Error(err)
	}
}

// Scripts run `stripchart token` side by side. What succeeds has happened.
func TestOfChangesAtOnceNoneIsLost(t *testing.T) {
	r := newRig(t)
	const each = 8
	for n := range each {
		r.add(Entry{Name: fmt.Sprintf("old-%d", n), Scope: Read})
	}
	var all sync.WaitGroup
	for n := range each {
		all.Go(func() {
			if _, err := r.file.Add(Entry{Name: fmt.Sprintf("new-%d", n), Scope: Read}); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			if err := r.file.Remove(fmt.Sprintf("old-%d", n)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if text := r.read(); strings.Count(text, `"new-`) != each || strings.Contains(text, `"old-`) {
		t.Errorf("of %d added and %d removed tokens, the file has\n%s", each, each, text)
	}
	if info, err := os.Stat(r.file.Path + ".lock"); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("others can hold the lock: %v, %v", info, err)
	}
}

func TestALinkInTheWayOfAChangeIsNotFollowed(t *testing.T) {
	r := newRig(t)
	other := filepath.Join(t.TempDir(), "other")
	if err := os.Symlink(other, r.file.Path+".tmp"); err != nil {
		t.Skip("this system makes no links: ", err)
	}
	r.add(Entry{Name: "phone", Scope: Read})
	if _, err := os.Lstat(other); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the change was written where the link leads: %v", err)
	}
	r.open()
}
