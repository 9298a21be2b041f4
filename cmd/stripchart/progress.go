package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// progress says how far something is: on a terminal in one line that is written over, and
// elsewhere a line every 10 s.
type progress struct {
	to       io.Writer
	terminal bool
	verb     string // exported, imported
	total    int64  // bytes of all; 0: unknown
	now      func() time.Time

	began, said time.Time
	shown       bool // whether a line stands on the terminal
}

const (
	terminalEvery = 200 * time.Millisecond
	plainEvery    = 10 * time.Second
	barWidth      = 30
)

func newProgress(to io.Writer, verb string, total int64) *progress {
	p := &progress{to: to, verb: verb, total: total, now: time.Now}
	f, is := to.(*os.File)
	p.terminal = is && isTerminal(f)
	p.began = p.now()
	p.said = p.began
	return p
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// at tells that so many bytes are done, and what else there is to say.
func (p *progress) at(bytes int64, more string) {
	every := plainEvery
	if p.terminal {
		every = terminalEvery
	}
	now := p.now()
	if now.Sub(p.said) < every {
		return
	}
	p.said = now
	text := fmt.Sprintf("%s: %s, %s/s%s", p.verb, megabytes(bytes), megabytes(int64(float64(bytes)/now.Sub(p.began).Seconds())), more)
	if p.total > 0 {
		part := min(float64(bytes)/float64(p.total), 1)
		text = fmt.Sprintf("%3.0f %% %s", 100*part, text)
		if p.terminal {
			full := int(part * barWidth)
			text = "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "] " + text
		}
	}
	if p.terminal {
		p.shown = true
		fmt.Fprintf(p.to, "\r\x1b[K%s", text)
		return
	}
	fmt.Fprintf(p.to, "stripchart: %s\n", text)
}

// end leaves the line on the terminal.
func (p *progress) end() {
	if p.shown {
		fmt.Fprintln(p.to)
		p.shown = false
	}
}
