package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// counts say how often writers and viewers did what might have found a fault.
type counts map[string]int

// takeCounts moves what was counted since the last call to total.
func (r *rig) takeCounts(total counts) {
	take := func(c counts) {
		for what, n := range c {
			total[what] += n
		}
		clear(c)
	}
	if r.writer != nil {
		r.writer.mu.Lock()
		take(r.writer.counts)
		r.writer.mu.Unlock()
	}
	if r.crowd != nil {
		r.crowd.mu.Lock()
		take(r.crowd.counts)
		r.crowd.mu.Unlock()
	}
	for _, b := range r.guests {
		b.mu.Lock()
		take(b.counts)
		b.mu.Unlock()
	}
	for _, v := range r.roots {
		v.mu.Lock()
		take(v.counts)
		v.mu.Unlock()
	}
}

// write writes a table.
func (c counts) write(b *strings.Builder) {
	if len(c) == 0 {
		return
	}
	b.WriteString("\n| what writers and viewers did meanwhile | times |\n|---|---|\n")
	for _, what := range slices.Sorted(maps.Keys(c)) {
		fmt.Fprintf(b, "| %s | %d |\n", what, c[what])
	}
}

// add reads a line of the table, and reports whether it is one.
func (c counts) add(line string) bool {
	what, n, ok := strings.Cut(strings.Trim(line, "| "), " | ")
	times := 0
	if _, err := fmt.Sscanf(n, "%d", &times); !ok || strings.Contains(n, "|") || err != nil {
		return false
	}
	c[what] += times
	return true
}
