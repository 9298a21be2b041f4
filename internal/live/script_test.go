package live

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/wire"
)

// play runs a script in a bubble of its own: a log, a server on it whose store outlives it, the
// sources that write to the log, and a page. One command a line:
//
//	publish N [S...]    the sources S, or source 0, publish N batches, one a second
//	drop N [S]          source S measures N batches, one a second, that never come to the log
//	resend N [S...]     they publish their newest N batches again
//	number N [S]        the next batch of source S has number N+1
//	series N S          source S writes the series of source N from now on
//	write N             a writer without numbers writes N times, one a second, to a series of source 0
//	lose N [unseen]     the log loses its newest N entries; unseen: nobody has noticed yet
//	trim N              the log keeps its newest N entries
//	slow D              each entry takes the log D to hand out
//	clock D             the log's clock is ahead by D
//	disk full, disk empty
//	stop, start         the server
//	restart D [kill]    the server is away for D; indented lines below go on meanwhile
//	wait D
//	mark NAME           gives this moment a name
//	page joins          in a room with the series of source 0
//	page is away        its network is gone
//	page resumes        on another connection
//	page holds all      that was ever published of source 0
//	expect no gaps      are declared
//	expect clear NAME   a new viewer of all series is told of no gap with that moment in it
//	expect gap [S=N] [after=D] [reason=R] [series=N] [from<=T] [from>=T] [to<=T] [to>=T]
//	                    a new viewer of the series of source N, or of all, that stays for D, or for a
//	                    second, is told of one gap; T is a name, or a name with + or - a duration
func play(t *testing.T, script string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{
			t: t, log: newFakeLog(), rng: rand.New(rand.NewPCG(1, 1)), want: &sharedTruth{truth: truth{}},
			sources: map[string]*publisher{}, marks: map[string]int64{},
		}
		s.server = newReplica(t, s.log)
		s.server.fill(&s.full)
		s.run(strings.Split(script, "\n"))
		s.meanwhile.Wait()
		if s.page != nil {
			s.page.close()
		}
		if s.server.stop != nil {
			s.server.stop()
		}
	})
}

type scene struct {
	t         *testing.T
	log       *fakeLog
	server    *replica
	rng       *rand.Rand
	want      *sharedTruth
	sources   map[string]*publisher
	full      atomic.Bool
	marks     map[string]int64
	page      *page
	meanwhile sync.WaitGroup
}

func (s *scene) run(lines []string) {
	s.t.Helper()
	for len(lines) > 0 {
		line := lines[0]
		words := strings.Fields(line)
		lines = lines[1:]
		if len(words) == 0 {
			continue
		}
		n := 0
		for n < len(lines) && indent(lines[n]) > indent(line) {
			n++
		}
		if n > 0 {
			block := lines[:n]
			s.meanwhile.Go(func() { s.run(block) })
		}
		lines = lines[n:]
		if err := s.do(words[0], words[1:]); err != nil {
			s.t.Errorf("%s: %v", strings.TrimSpace(line), err)
		}
	}
}

func indent(line string) int { return len(line) - len(strings.TrimLeft(line, "\t")) }

func (s *scene) do(verb string, args []string) error {
	n, _ := strconv.Atoi(append(args, "")[0])
	d, _ := time.ParseDuration(append(args, "")[0])
	last := append([]string{""}, args...)[len(args)]
	switch verb {
	case "publish":
		for range n {
			for _, p := range s.from(args[1:]) {
				p.publish(p.next(s.rng))
			}
			time.Sleep(time.Second)
		}
	case "drop":
		for range n {
			s.from(args[1:])[0].next(s.rng)
			time.Sleep(time.Second)
		}
	case "resend":
		for _, p := range s.from(args[1:]) {
			p.resend(s.rng, n)
		}
	case "number":
		s.from(args[1:])[0].seq = uint64(n)
	case "series":
		p := s.from(args[1:])[0]
		p.apart = n - p.source
	case "write":
		for range n {
			say(s.t, s.log, seriesLabels(0, 0), ms(), 1)
			time.Sleep(time.Second)
		}
	case "lose":
		if last == "unseen" {
			s.log.loseUnseen(n)
		} else {
			s.log.lose(n)
		}
	case "trim":
		s.log.trim(n)
	case "slow":
		s.log.slow.Store(int64(d))
	case "clock":
		s.log.clock(d)
	case "disk":
		s.full.Store(last == "full")
	case "stop":
		s.server.stop()
		s.server.stop = nil
	case "start":
		s.server.start()
	case "restart":
		s.server.restart(last == "kill", 0, d)
	case "wait":
		time.Sleep(d)
	case "mark":
		s.marks[last] = ms()
	case "page":
		s.doPage(last)
	case "expect":
		if last == "gaps" {
			if gs := declared(s.server.hub); len(gs) > 0 {
				return fmt.Errorf("%d gaps are declared: %+v", len(gs), *gs[0])
			}
			return nil
		}
		if args[0] == "clear" {
			return s.expectClear(last)
		}
		return s.expectGap(args[1:])
	default:
		return fmt.Errorf("%q is no command", verb)
	}
	return nil
}

// from returns sources by their numbers.
func (s *scene) from(names []string) (ps []*publisher) {
	if len(names) == 0 {
		names = []string{"0"}
	}
	for _, name := range names {
		if s.sources[name] == nil {
			n, err := strconv.Atoi(name)
			if err != nil {
				s.t.Fatalf("%q is no source", name)
			}
			s.sources[name] = &publisher{log: s.log, source: n, want: s.want}
		}
		ps = append(ps, s.sources[name])
	}
	return ps
}

func (s *scene) doPage(what string) {
	switch what {
	case "joins":
		s.page = newPage(s.t, s.server.hub, 1<<20)
		s.page.ask(seriesOfSource)
		time.Sleep(time.Second)
	case "away":
		s.page.pause(true)
	case "resumes":
		s.page = s.page.resumeOn(s.t, s.server.hub)
	case "all":
		settleReplicas(s.t, 0, []*page{s.page}, s.want)
	default:
		s.t.Fatalf("a page cannot %q", what)
	}
}

func (s *scene) expectGap(conditions []string) error {
	query, stays := "m", time.Second
	for _, c := range conditions {
		if n, ok := strings.CutPrefix(c, "S="); ok {
			query = fmt.Sprintf("m{source=%q}", n)
		}
		if d, ok := strings.CutPrefix(c, "after="); ok {
			stays, _ = time.ParseDuration(d)
		}
	}
	gs := s.toldOf(query, stays)
	if len(gs) != 1 {
		return fmt.Errorf("told of %+v, want one gap", gs)
	}
	for _, c := range conditions {
		if !s.meets(&gs[0], c) {
			return fmt.Errorf("told of %+v, which is not %s; marks %v", gs[0], c, s.marks)
		}
	}
	return nil
}

// toldOf returns the gaps that a new viewer is told of while it stays.
func (s *scene) toldOf(query string, stays time.Duration) []wire.Gap {
	c := &stub{}
	client := s.server.hub.NewClient(c)
	defer client.Close()
	arg, _ := json.Marshal(map[string]any{"query": query, "window": 3600})
	client.Subscribe(arg, nil)
	time.Sleep(stays)
	return told(s.t, c)
}

func (s *scene) expectClear(mark string) error {
	at, ok := s.marks[mark]
	if !ok {
		return fmt.Errorf("no moment has the name %q", mark)
	}
	for _, g := range s.toldOf("m", time.Second) {
		if g.From < at && at < g.To {
			return fmt.Errorf("told of %+v, which holds %d", g, at)
		}
	}
	return nil
}

func (s *scene) meets(g *wire.Gap, condition string) bool {
	i := strings.IndexAny(condition, "<>=")
	name, value := condition[:i], strings.TrimLeft(condition[i:], "<>=")
	at := func() int64 {
		mark, shift := value, time.Duration(0)
		if k := strings.IndexAny(value, "+-"); k > 0 {
			mark = value[:k]
			shift, _ = time.ParseDuration(value[k:])
		}
		t, ok := s.marks[mark]
		if !ok {
			s.t.Fatalf("no moment has the name %q", mark)
		}
		return t + shift.Milliseconds()
	}
	switch condition[:i+1] + strconv.Itoa(len(condition)-i-len(value)) {
	case "S=1", "after=1":
		return true
	case "reason=1":
		return g.Reason == value
	case "series=1":
		return strconv.Itoa(len(g.IDs)) == value
	case "from<2":
		return g.From <= at()
	case "from>2":
		return g.From >= at()
	case "to<2":
		return g.To <= at()
	case "to>2":
		return g.To >= at()
	}
	s.t.Fatalf("%s: %q is no condition", condition, name)
	return false
}
