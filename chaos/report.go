package chaos

import (
	"fmt"
	"strings"
	"time"
)

// Report is what came of the faults.
type Report struct {
	Seed  uint64
	Took  time.Duration
	Rows  []Row   // in the order in which each was first injected
	End   verdict // of everything once more, at the end of each rig
	began time.Time

	counts counts // of everything but faults
}

// Row is what came of one kind of fault. A sample counts as lost once for each holder that lacks it,
// but as gapped only once, however many holders have declared the gap.
type Row struct {
	Fault   string
	Times   int
	Figures verdict
	// Recovery is the longest time from the moment when the fault was healed until
	// every viewer was live again, and Without the longest that a viewer went
	// without a new sample, the fault itself included.
	Recovery, Without time.Duration
}

func (p *Report) add(name string, v verdict, recovery, without time.Duration) {
	p.row(name).merge(1, v, recovery, without)
}

func (p *Report) addEnd(v verdict) { p.End.add(v) }

// Add adds a table that Markdown returned earlier, of another run.
func (p *Report) Add(table string) error {
	if p.counts == nil {
		p.counts = counts{}
	}
	for _, line := range strings.Split(table, "\n") {
		if strings.HasPrefix(line, "|") && p.counts.add(line) {
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if !strings.HasPrefix(line, "|") || len(cells) != 12 || cells[0] == "fault" || cells[0] == all {
			continue
		}
		var row Row
		f := &row.Figures
		var recovery, without float64
		if _, err := fmt.Sscanf(strings.Join(cells[1:], " "), "%d %d %d %d %d %d %d %d %d %f s %f s", &row.Times, &f.Acknowledged, &f.Lost, &f.Doubled,
			&f.Order, &f.Wrong, &f.Gaps, &f.Undue, &f.Gapped, &recovery, &without); err != nil {
			return fmt.Errorf("%q is no line of the table: %w", line, err)
		}
		p.row(cells[0]).merge(row.Times, *f, time.Duration(recovery*float64(time.Second)), time.Duration(without*float64(time.Second)))
	}
	return nil
}

// row returns the row of a fault, a new one if there is none.
func (p *Report) row(name string) *Row {
	for i := range p.Rows {
		if p.Rows[i].Fault == name {
			return &p.Rows[i]
		}
	}
	p.Rows = append(p.Rows, Row{Fault: name})
	return &p.Rows[len(p.Rows)-1]
}

func (row *Row) merge(times int, v verdict, recovery, without time.Duration) {
	row.Times += times
	row.Figures.add(v)
	row.Recovery, row.Without = max(row.Recovery, recovery), max(row.Without, without)
}

// Broken returns what shows that the promise was broken, or "".
func (p *Report) Broken() string {
	var out []string
	for _, row := range p.Rows {
		if row.Figures.faulty() {
			out = append(out, row.Fault+": "+row.Figures.String())
		}
	}
	if p.End.faulty() {
		out = append(out, "at the end of a rig: "+p.End.String())
	}
	return strings.Join(out, "\n")
}

// all is the last row of the table.
const all = "**all**"

// Markdown returns the table.
func (p *Report) Markdown() string {
	var b strings.Builder
	b.WriteString("| fault | times | samples acknowledged | lost | doubled | out of order | wrong | declared gaps | undue | samples in them | longest recovery | longest without samples |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	total := Row{Fault: all}
	for _, row := range p.Rows {
		row.write(&b)
		total.merge(row.Times, row.Figures, row.Recovery, row.Without)
	}
	total.write(&b)
	if p.End.faulty() {
		fmt.Fprintf(&b, "\nAt the ends of the rigs: %d lost, %d doubled, %d out of order, %d wrong.\n", p.End.Lost, p.End.Doubled, p.End.Order, p.End.Wrong+p.End.Foreign)
	}
	p.counts.write(&b)
	return b.String()
}

func (row *Row) write(b *strings.Builder) {
	f := &row.Figures
	fmt.Fprintf(b, "| %s | %d | %d | %d | %d | %d | %d | %d | %d | %d | %.1f s | %.1f s |\n", row.Fault, row.Times, f.Acknowledged, f.Lost, f.Doubled,
		f.Order, f.Wrong+f.Foreign, f.Gaps, f.Undue, f.Gapped, row.Recovery.Seconds(), row.Without.Seconds())
}
