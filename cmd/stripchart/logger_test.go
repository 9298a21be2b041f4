package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
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
