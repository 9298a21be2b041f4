package ingest

import "bytes"

// entry is the next entry of the line protocol in a body.
type entry struct {
	text  []byte // without its end, and without tags that have no value
	size  int    // bytes of the body, its end included
	lines int    // a string may reach over several
}

// entryCutter cuts a body into entries.
type entryCutter struct {
	most int // bytes that may be cut, those that are cut again included
	done int // bytes that were cut so far
	// unclosed is how many bytes follow the quote that nothing closes, so that they are
	// searched once; 0: there is no such quote so far.
	unclosed int
}

func newEntryCutter(body []byte) *entryCutter { return &entryCutter{most: 3 * len(body)} }

// cut cuts off the first entry of what is left of the body. An entry ends at a line feed that is
// not in a string. A string begins with a quote directly behind the = of a field; a quote that
// is never closed begins none. Once too many bytes were cut again, each line is an entry.
func (c *entryCutter) cut(body []byte) (e entry) {
	defer func() { c.done += e.size }()
	oneLine := c.done > c.most
	if oneLine {
		line := lineEntry(body)
		body = body[:line.size]
	}
	i := 0
	for i < len(body) && (body[i] == ' ' || body[i] == '\t') {
		i++
	}
	if i < len(body) && body[i] == '#' { // a comment
		return lineEntry(body)
	}
	var empty []span // tags without a value
	comma := -1      // where the present tag begins; -1: its = has come, or there is none
	for ; i < len(body) && body[i] != ' ' && body[i] != '\n'; i++ {
		switch body[i] {
		case '\\':
			if escapes(body, i) {
				i++
			}
		case ',':
			comma = i
		case '=':
			if comma >= 0 && i > comma+1 && i+1 < len(body) && (body[i+1] == ',' || body[i+1] == ' ') {
				empty = append(empty, span{comma, i + 1})
			}
			comma = -1
		}
	}
	e.lines = 1
	for ; i < len(body) && body[i] != '\n'; i++ {
		switch {
		case body[i] == '\\' && escapes(body, i):
			i++
		case body[i] == '"' && body[i-1] == '=':
			after := body[i+1:]
			if len(after) == c.unclosed {
				continue
			}
			end := closingQuote(after)
			switch {
			case end >= 0:
				e.lines += bytes.Count(after[:end], []byte{'\n'})
				i += 1 + end
			case !oneLine:
				c.unclosed = len(after)
			}
		}
	}
	e.text = bytes.TrimSuffix(body[:i], []byte{'\r'})
	e.size = min(i+1, len(body))
	if len(empty) > 0 {
		e.text = without(e.text, empty)
	}
	return e
}

// lineEntry returns the first line as an entry.
func lineEntry(body []byte) entry {
	line, rest, _ := bytes.Cut(body, []byte{'\n'})
	return entry{text: line, size: len(body) - len(rest), lines: 1}
}

// escapes reports whether the backslash at i keeps the next byte from meaning what it means.
func escapes(body []byte, i int) bool {
	return i+1 < len(body) && (body[i+1] == ',' || body[i+1] == '=' || body[i+1] == ' ')
}

// closingQuote returns where the string ends; -1: nowhere.
func closingQuote(text []byte) int {
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			return i
		case '\\':
			if i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\\') {
				i++
			}
		}
	}
	return -1
}

// without returns text without the given pieces.
func without(text []byte, pieces []span) []byte {
	kept := make([]byte, 0, len(text))
	from := 0
	for _, p := range pieces {
		kept = append(kept, text[from:p.from]...)
		from = p.to
	}
	return append(kept, text[from:]...)
}
