package spool

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stripchart/internal/testkit"
)

// noReplacing makes it impossible to replace source.json in dir, as a full disk
// does, and leaves the spare.
func noReplacing(t *testing.T, dir string) (again func()) {
	t.Helper()
	in := filepath.Join(dir, stateName+".tmp", "the way")
	if err := os.MkdirAll(in, 0o777); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.RemoveAll(filepath.Dir(in)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheNewerOfTheTwoStatesCounts(t *testing.T) {
	o := options(t.TempDir())
	s := open(t, o)
	put(t, s, 3, 10)
	again := noReplacing(t, o.Dir)
	if err := s.save(7, 5000, false); err != nil {
		t.Fatal(err)
	}
	// What was noted as used stays so, whoever saves next.
	if err := s.save(0, 0, false); err != nil {
		t.Fatal(err)
	}
	killed := o
	killed.Dir = snapshot(t, o.Dir)
	if st, err := readState(killed.Dir, s.log); err != nil || st.Newest != 7 || st.Reserved != 5000 {
		t.Errorf("the spare has %+v, %v", st, err)
	}
	again()
	if err := s.save(9, 0, false); err != nil {
		t.Fatal(err)
	}
	if st, err := readState(o.Dir, s.log); err != nil || st.Newest != 9 {
		t.Errorf("source.json has %+v, %v", st, err)
	}
	if err := os.RemoveAll(filepath.Join(killed.Dir, stateName+".tmp")); err != nil {
		t.Fatal(err)
	}
	k := open(t, killed)
	if n := k.NextSeq(); n != 8 {
		t.Errorf("next is %d", n)
	}
}

// The spare may have been the newer of the two.
func TestADamagedSpareBeginsANewSource(t *testing.T) {
	o := options(t.TempDir())
	ids := 0
	o.NewSource = func() string { ids++; return fmt.Sprint("source-", ids) }
	s := open(t, o)
	shut(t, s)
	f, err := os.OpenFile(filepath.Join(o.Dir, spareName), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("9"), 40); err != nil {
		t.Fatal(err)
	}
	f.Close()
	for range 2 { // it is told, and mended, once
		s = open(t, o)
		if s.Source() != "source-2" {
			t.Errorf("source %q", s.Source())
		}
		shut(t, s)
	}
}

// A new source's first save outranks whatever the spare of the one before has.
func TestASpareDoesNotBringBackASourceThatIsGone(t *testing.T) {
	o := options(t.TempDir())
	s := open(t, o)
	again := noReplacing(t, o.Dir)
	for range 20 {
		if err := s.save(0, 0, false); err != nil {
			t.Fatal(err)
		}
	}
	again()
	o.Dir = snapshot(t, o.Dir)
	if err := os.WriteFile(filepath.Join(o.Dir, stateName), []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	o.NewSource = func() string { return "another" }
	s = open(t, o)
	shut(t, s)
	s = open(t, o)
	if s.Source() != "another" {
		t.Errorf("source %q", s.Source())
	}
}

func TestTheSpareIsASectorInABlockOfItsOwn(t *testing.T) {
	o := options(t.TempDir())
	open(t, o)
	b, err := os.ReadFile(filepath.Join(o.Dir, spareName))
	if err != nil || len(b) != spareSize || strings.TrimSpace(string(b[spareText:])) != "" {
		t.Errorf("%d bytes: %q, %v", len(b), b, err)
	}
	if _, err := sealed(make([]byte, spareText)); err == nil {
		t.Error("a state that does not fit was taken")
	}
}

func TestASpoolOnAnotherMachineIsANewSource(t *testing.T) {
	for _, c := range []struct {
		name      string
		was, is   string
		newSource bool
	}{
		{"the same machine", "web1", "web1", false},
		{"a copy, or a host that was renamed", "web1", "web2", true},
		{"a state from before machines were noted", "", "web1", false},
		{"a system that says nothing", "web1", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var logged testkit.Log
			o := options(t.TempDir())
			o.Logger = slog.New(slog.NewTextHandler(&logged, nil))
			o.Machine = func() string { return "web1" }
			s := open(t, o)
			put(t, s, 30, 10)
			v := newServer()
			send(t, s, v)
			put(t, s, 4, 10) // these wait
			rewrite(t, s, func(st *state) { st.Machine, st.Sent = c.was, 30 })
			o.Dir = snapshot(t, o.Dir)
			o.NewSource = func() string { return "source" + c.is }
			o.Machine = func() string { return c.is }
			s = open(t, o)
			want := "source"
			if c.newSource {
				want = "sourceweb2"
			}
			if s.Source() != want || strings.Contains(logged.String(), "another machine") != c.newSource {
				t.Errorf("source %q, want %q, logged %s", s.Source(), want, &logged)
			}
			if n := s.NextSeq(); n != 35 {
				t.Errorf("next is %d", n)
			}
			w := newServer()
			w.source = want
			send(t, s, w)
			w.check(t, 21, 34) // what waits, and the last 10 s before it
			shut(t, s)
			// Once is enough, and the machine stays known where the system says nothing.
			logged.Reset()
			s = open(t, o)
			if st := s.state; s.Source() != want || c.is != "" && st.Machine != c.is || c.is == "" && st.Machine != c.was {
				t.Errorf("source %q, state %+v", s.Source(), st)
			}
			if strings.Contains(logged.String(), "another machine") {
				t.Errorf("logged again: %s", &logged)
			}
		})
	}
}

// A copy that is not of a clean stop: the numbers that the original has reserved
// are not this source's, and are no gap in it.
func TestANewSourceOnAnotherMachineDeclaresNoGap(t *testing.T) {
	o := options(t.TempDir())
	o.Machine, o.bootID = func() string { return "web1" }, func() string { return "boot 1" }
	s := open(t, o)
	put(t, s, 7, 10)
	o.Dir = snapshot(t, o.Dir)
	o.Machine, o.bootID = func() string { return "web2" }, func() string { return "boot 2" }
	o.NewSource = func() string { return "new" }
	s = open(t, o)
	if n := s.NextSeq(); n != 8 {
		t.Errorf("next is %d", n)
	}
}

func TestThisMachineHasAnIDThatStays(t *testing.T) {
	id := machineID()
	if len(id) != 24 || id != machineID() {
		t.Errorf("id %q, then %q", id, machineID())
	}
}

// rewrite changes source.json behind the spool's back, and removes the spare.
func rewrite(t *testing.T, s *Spool, change func(*state)) {
	t.Helper()
	s.saveMu.Lock()
	defer s.saveMu.Unlock()
	s.mu.Lock()
	st := s.state
	s.mu.Unlock()
	change(&st)
	var err error
	if st.Checksum, err = st.sum(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.o.Dir, stateName), marshal(t, st), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.o.Dir, spareName)); err != nil {
		t.Fatal(err)
	}
}

// An older version gave a source the host's name as it was. Over HTTP every batch of
// it was refused for good.
func TestASourceWithANameThatServersRefuseIsANewSource(t *testing.T) {
	for _, name := range []string{"collect-büro-QRVZ", "collect-a b-QRVZ", "collect-\uFFFD-QRVZ"} {
		o := options(t.TempDir())
		s := open(t, o)
		put(t, s, 3, 10)
		rewrite(t, s, func(st *state) { st.Source = name })
		o.Dir = snapshot(t, o.Dir)
		s = open(t, o)
		if s.Source() != "source" || s.NextSeq() != 4 || s.Waiting() != 3 {
			t.Errorf("%s goes on as %s, the next number is %d, %d wait", name, s.Source(), s.NextSeq(), s.Waiting())
		}
	}
	o := options(t.TempDir())
	o.NewSource = func() string { return "a b" }
	if s, err := Open(o); err == nil {
		shut(t, s)
		t.Error("a new source with such a name is taken")
	}
}

// formed returns an options' directory with a spool in which ten batches wait, and what its
// source.json would be in another form.
func formed(t *testing.T, form func(state) []byte) Options {
	t.Helper()
	o := options(t.TempDir())
	s := open(t, o)
	put(t, s, 10, 10)
	shut(t, s)
	st := s.state
	if err := os.WriteFile(filepath.Join(o.Dir, stateName), form(st), 0o666); err != nil {
		t.Fatal(err)
	}
	o.NewSource = func() string { return "new" }
	return o
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// An older program reads the file as JSON and looks at the version: that is all it can
// know of a newer one.
func TestAProgramThatKnowsVersion2RefusesTheSpoolByItsVersion(t *testing.T) {
	o := options(t.TempDir())
	shut(t, open(t, o))
	b, err := os.ReadFile(filepath.Join(o.Dir, stateName))
	if err != nil {
		t.Fatal(err)
	}
	var older struct {
		Version int    `json:"version"`
		Source  string `json:"source"`
	}
	if err := json.Unmarshal(b, &older); err != nil || older.Version != 3 || older.Source != "source" {
		t.Errorf("an older program reads %+v, %v of %s", older, err, b)
	}
}

func TestTheSourceOfAnOlderSpoolGoesOn(t *testing.T) {
	for name, form := range map[string]func(state) []byte{
		"version 1": func(st state) []byte {
			return marshal(t, map[string]any{"version": 1, "source": st.Source, "sent": st.Sent, "newest": st.Newest, "reserved": st.Reserved, "boot": st.Boot, "clean": st.Clean})
		},
		"version 2": func(st state) []byte { st.Version = 2; return marshal(t, st) },
		"version 2 with its checksum in a line": func(st state) []byte {
			st.Version = 2
			b := marshal(t, st)
			return append(fmt.Appendf(nil, "crc32 %08x\n", crc32.ChecksumIEEE(b)), b...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := formed(t, form)
			for range 2 { // read in its form, then in ours
				s := open(t, o)
				if s.Source() != "source" || s.NextSeq() != 11 || s.Waiting() != 10 {
					t.Errorf("it goes on as %s, the next number is %d, %d wait", s.Source(), s.NextSeq(), s.Waiting())
				}
				shut(t, s)
			}
			b, err := os.ReadFile(filepath.Join(o.Dir, stateName))
			if err != nil || !strings.HasPrefix(string(b), `{"version":3,`) {
				t.Errorf("then source.json is %s, %v", b, err)
			}
		})
	}
}

func TestASpoolOfANewerVersionIsRefusedAndLeftAsItIs(t *testing.T) {
	newer := func(st state) []byte {
		return marshal(t, map[string]any{"version": 4, "source": st.Source, "crc32": "of another form"})
	}
	o := formed(t, newer)
	before, _ := os.ReadFile(filepath.Join(o.Dir, stateName))
	if s, err := Open(o); err == nil || !strings.Contains(err.Error(), "of version 4, this program knows 3") {
		t.Errorf("opened %v, %v", s, err)
	}
	if after, err := os.ReadFile(filepath.Join(o.Dir, stateName)); err != nil || string(after) != string(before) {
		t.Errorf("source.json is %s, %v", after, err)
	}
	// A full disk had it written to the spare only.
	o = formed(t, func(st state) []byte {
		st.Checksum, _ = st.sum()
		return marshal(t, st)
	})
	if err := overwrite(filepath.Join(o.Dir, spareName), []byte(`{"version":4,"saves":1000}`)); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(o); err == nil || !strings.Contains(err.Error(), "of version 4, this program knows 3") {
		t.Errorf("with a newer spare: opened %v, %v", s, err)
	}
}

// No bit that flips in source.json is taken for a state, and none stops a collector.
func TestEveryFlippedBitOfSourceJSONIsNoticed(t *testing.T) {
	dir := t.TempDir()
	st := state{Version: stateVersion, Saves: 3, Source: "source", Sent: 5, Given: 5, GivenTime: 1, Newest: 9, Reserved: 1000, Boot: "boot"}
	var err error
	if st.Checksum, err = st.sum(); err != nil {
		t.Fatal(err)
	}
	b := marshal(t, st)
	log := slog.New(slog.DiscardHandler)
	for i := range len(b) * 8 {
		b[i/8] ^= 1 << (i % 8)
		if err := os.WriteFile(filepath.Join(dir, stateName), b, 0o666); err != nil {
			t.Fatal(err)
		}
		if got, err := readState(dir, log); err != nil || got != st && got != (state{}) {
			t.Errorf("bit %d, %s: %+v, %v", i, b, got, err)
		}
		b[i/8] ^= 1 << (i % 8)
	}
}
