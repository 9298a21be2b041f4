package scrape

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

var (
	errCutOff  = errors.New("its answer does not end with # EOF, so it was cut off")
	errNothing = errors.New("no line of its answer can be read")
	eof        = []byte("# EOF")
)

// parser reads a body in one of the text formats.
func (a answer) parser(body []byte) textparse.Parser {
	if a.openMetrics {
		return textparse.NewOpenMetricsParser(body, labels.NewSymbolTable())
	}
	return textparse.NewPromParser(body, labels.NewSymbolTable(), false)
}

// check returns nil when the parser reads the body to its end.
func (a answer) check(body []byte) error {
	for p := a.parser(body); ; {
		if _, err := p.Next(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// trim makes the body end with one line feed. An error says that it was cut off.
func (a *answer) trim() error {
	a.body = bytes.TrimRight(a.body, " \t\r\n")
	if a.openMetrics && !bytes.HasSuffix(a.body, eof) {
		return errCutOff
	}
	a.body = append(a.body, '\n')
	return nil
}

// mend takes the lines that cannot be read out of the body: the parser stops at the first. It returns how many there
// were, and what was wrong with the first.
func (a *answer) mend() (bad int, first, err error) {
	good := make([]byte, 0, len(a.body))
	samples := 0
	for number, rest := 1, a.body; len(rest) > 0; number++ {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte{'\n'})
		alone := append(bytes.Clone(line), '\n')
		if a.openMetrics && !bytes.Equal(line, eof) {
			alone = append(append(alone, eof...), '\n')
		}
		if err := a.check(alone); err != nil {
			if bad++; bad == 1 {
				first = fmt.Errorf("line %d: %w", number, err)
			}
			if bad > maxBadLines {
				return bad, first, fmt.Errorf("more than %d lines of its answer cannot be read; the first is %w", maxBadLines, first)
			}
			continue
		}
		if len(line) > 0 && line[0] != '#' {
			samples++
		}
		good = append(append(good, line...), '\n')
	}
	if samples == 0 {
		return bad, first, fmt.Errorf("%w; the first is %w", errNothing, first)
	}
	a.body = good
	return bad, first, nil
}
