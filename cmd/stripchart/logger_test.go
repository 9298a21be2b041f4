package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTheJournalIsToldEachLevel(t *testing.T) {
	var out bytes.Buffer
	o := options{LogFormat: "text", LogLevel: "debug"}
	log := slog.New(o.logHandler(&out, true))
	log.Debug("a")
	log.With("of", "x").Info("b", "took", 90*time.Second)
	log.WithGroup("g").Warn("c", "time", "noon")
	log.Error("d\ne")
	want := "<7>level=DEBUG msg=a\n<6>level=INFO msg=b of=x took=1m30s\n<4>level=WARN msg=c g.time=noon\n<3>level=ERROR msg=\"d\\ne\"\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", &out, want)
	}
}

func TestOutsideOfTheJournalALineHasItsTimeAndNothingBeforeIt(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		o := options{LogFormat: format, LogLevel: "info"}
		slog.New(o.logHandler(&out, false)).Info("a", "took", 90*time.Second)
		if line := out.String(); strings.HasPrefix(line, "<") || !strings.Contains(line, "time") || !strings.Contains(line, "1m30s") {
			t.Errorf("%s: %q", format, line)
		}
	}
}

// A line that a stranger can cause is written once a second at most, in the long run,
// and is not long. Other lines do not suffer from it.
func TestTheLogCannotBeFilledFromOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		o := options{LogFormat: "text", LogLevel: "debug"}
		log := o.logger(&out)
		const seconds = 60
		long, err := strings.Repeat("é", 50_000), errors.New(strings.Repeat("y", 50_000))
		for i := range seconds * 100 {
			log.With("peer", "x").Warn("refused", "query", long, "err", err)
			if i%1000 == 0 {
				log.Info("something else")
			}
			time.Sleep(time.Second / 100)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		refused, left := 0, 0
		for _, line := range lines {
			if len(line) > 3*maxLogged+200 {
				t.Fatalf("a line of %d bytes", len(line))
			}
			if strings.Contains(line, "msg=refused") {
				refused++
				if _, n, ok := strings.Cut(line, leftOut+"="); ok {
					var x int
					fmt.Sscan(n, &x)
					left += x
				}
			}
		}
		if refused < seconds || refused > seconds+linesAtOnce {
			t.Errorf("%d lines in %d seconds", refused, seconds)
		}
		if missing := seconds*100 - refused - left; missing < 0 || missing > 100 {
			t.Errorf("%d lines were left out without a word", missing)
		}
		if n := strings.Count(out.String(), "something else"); n != 6 {
			t.Errorf("%d of 6 other lines", n)
		}
		out.Reset()
		for range 100 {
			log.Debug("asked for", "stack", strings.Repeat("z", 2*maxLogged))
		}
		if n := strings.Count(out.String(), "asked for"); n != 100 || out.Len() < 200*maxLogged {
			t.Errorf("%d of 100 lines that were asked for, %d bytes", n, out.Len())
		}
	})
}

func TestTheKindsOfLinesAreBounded(t *testing.T) {
	log := slog.New(newCalm(slog.DiscardHandler))
	k := log.Handler().(calm).kinds
	for i := range 3 * maxKinds {
		log.Info(fmt.Sprint(i))
	}
	if len(k.of) > maxKinds {
		t.Errorf("%d kinds are held", len(k.of))
	}
}
