package chaos

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"time"
)

// The harness's sources measure numbers that anybody can work out again. Their samples lie on a grid of
// ticks. The place within the tick tells the life of the source; a life begins when the source starts,
// and when its clock is set. The samples of one life ascend, whatever the clock did. A life's late
// samples have a strand of their own. So a source has 25 lives before a strand is used again.
const (
	tick      = 50 // ms
	lives     = tick / 2
	lateBy    = 10 * tick
	lateEvery = 7 // ticks
)

// lagOf returns by how much series k of a source lags behind the source's others, in ms:
// a multiple of tick.
func lagOf(source, k int) int64 {
	if source%2 == 1 || source == nameless {
		return 0
	}
	return []int64{0, maxLag / 2, maxLag}[k%3]
}

const maxLag = 40 * tick

// timesOf returns how many ticks a source puts into one batch.
func timesOf(source int) int {
	if source%3 == 2 {
		return 5
	}
	return 1
}

// strand is samples of one series that their source published in ascending order.
type strand struct {
	series string
	place  int64 // in the tick, ms
}

func strandOf(series string, t int64) strand { return strand{series, ((t % tick) + tick) % tick} }

// valueAt is what series k of a source measures at a time: close times, other series and
// other sources have other values.
func valueAt(source, k int, t int64) float64 {
	return float64((t*31+int64(source)*7919+int64(k)*104_729)%1_000_003) / 8
}

// journal is where a source writes down what it is about to publish and what was
// acknowledged. Each entry is one write(2) to a file opened for appending, which
// survives a kill. Lines:
//
//	t TIME LATE WALL   the samples of TIME, and of LATE unless it is 0, are about to be
//	                   published; WALL is the true time: all in Unix ms
//	s TIME SEQ         the spool has acknowledged them, as batch SEQ
//	h TIME SEQ         the spool holds them in memory only, as batch SEQ: they are
//	                   acknowledged when the bus has acknowledged it
//	a FIRST LAST       the bus has acknowledged the batches FIRST to LAST
type journal struct{ f *os.File }

func openJournal(path string) (*journal, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	return &journal{f}, nil
}

func (j *journal) line(kind byte, numbers ...int64) error {
	b := []byte{kind}
	for _, n := range numbers {
		b = strconv.AppendInt(append(b, ' '), n, 10)
	}
	_, err := j.f.Write(append(b, '\n'))
	return err
}

func (j *journal) attempt(t, late int64, wall time.Time) error {
	return j.line('t', t, late, wall.UnixMilli())
}
func (j *journal) spooled(t int64, seq uint64) error { return j.line('s', t, int64(seq)) }
func (j *journal) held(t int64, seq uint64) error    { return j.line('h', t, int64(seq)) }
func (j *journal) acknowledged(first, last uint64) error {
	return j.line('a', int64(first), int64(last))
}

// account is what a journal says, for every series of its source alike.
type account struct {
	sent    map[int64]int64  // time of a sample -> true time when it was published
	spooled map[int64]uint64 // acknowledged, by whom it may be
	bus     map[uint64]bool  // batches that the bus has acknowledged
}

// readJournal reads the journal at path; a last line that a kill has cut short
// counts for nothing.
func readJournal(path string) (*account, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	a := &account{sent: map[int64]int64{}, spooled: map[int64]uint64{}, bus: map[uint64]bool{}}
	late, held := map[int64]int64{}, map[int64]uint64{}
	taken := func(t int64, seq uint64) {
		a.spooled[t] = seq
		if l, ok := late[t]; ok {
			a.spooled[l] = seq
		}
	}
	for lines := bufio.NewReader(f); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			for t, seq := range held {
				if a.bus[seq] {
					taken(t, seq)
				}
			}
			return a, nil
		}
		var x, y, z int64
		switch line[0] {
		case 't':
			if _, err := fmt.Sscanf(line, "t %d %d %d\n", &x, &y, &z); err != nil {
				return nil, fmt.Errorf("%s: %q: %w", path, line, err)
			}
			a.sent[x] = z
			if y != 0 {
				a.sent[y] = z
				late[x] = y
			}
		case 's':
			if _, err := fmt.Sscanf(line, "s %d %d\n", &x, &y); err != nil {
				return nil, fmt.Errorf("%s: %q: %w", path, line, err)
			}
			taken(x, uint64(y))
		case 'h':
			if _, err := fmt.Sscanf(line, "h %d %d\n", &x, &y); err != nil {
				return nil, fmt.Errorf("%s: %q: %w", path, line, err)
			}
			held[x] = uint64(y)
		case 'a':
			if _, err := fmt.Sscanf(line, "a %d %d\n", &x, &y); err != nil {
				return nil, fmt.Errorf("%s: %q: %w", path, line, err)
			}
			for ; x <= y; x++ {
				a.bus[uint64(x)] = true
			}
		default:
			return nil, fmt.Errorf("%s: %q is no line of a journal", path, line)
		}
	}
}
