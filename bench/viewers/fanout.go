//go:build linux

package main

import (
	"fmt"
	"time"

	"stripchart/bench/child"
	"stripchart/bench/load"
	"stripchart/bench/measure"
)

// Rooms of series that every machine has, so that messages are of one size
// everywhere.
var (
	oneRoom     = []string{`{__name__=~"load1|load5|load15"}`}
	twelveRooms = []string{
		`{__name__=~"load1|load5|load15"}`, `load1`, `load5`, `load15`, `{__name__=~"load1|load5"}`, `{__name__=~"load5|load15"}`,
		`cpu_usage_percent{cpu="total"}`, `memory_used_bytes`, `memory_available_bytes`, `memory_total_bytes`,
		`{__name__=~"memory_used_bytes|memory_total_bytes"}`, `{__name__=~"memory_available_bytes|memory_total_bytes"}`,
	}
)

// situation is one line of the fan-out's table.
type situation struct {
	viewers   int
	interval  time.Duration
	queries   []string
	unreading int // per hundred viewers
	polling   bool
}

func (s situation) String() string {
	text := fmt.Sprintf("%d viewers, one message each %v, %d rooms", s.viewers, s.interval, len(s.queries))
	if s.unreading > 0 {
		text += fmt.Sprintf(", %d %% not reading", s.unreading)
	}
	if s.polling {
		text += ", polling"
	}
	return text
}

// situations are those of the selection, and, unless it is a choice of its own,
// some with viewers that do not read or that poll.
func (b *bench) situations(quick bool) []situation {
	rooms := map[int][]string{1: oneRoom, 12: twelveRooms}
	var all []situation
	for _, viewers := range b.choice.viewers {
		for _, rate := range b.choice.rates {
			for _, n := range b.choice.rooms {
				all = append(all, situation{viewers, time.Second / time.Duration(rate), rooms[n], b.choice.unreading, b.choice.polling})
			}
		}
	}
	if b.choice.isDefault && !quick {
		for _, n := range b.choice.rooms {
			all = append(all, situation{5000, 200 * time.Millisecond, rooms[n], 1, false})
		}
		all = append(all, situation{1000, time.Second, oneRoom, 0, true}, situation{5000, time.Second, oneRoom, 0, true})
	}
	return all
}

// fanout measures the product against the floor in every situation.
func (b *bench) fanout(quick bool) error {
	table := newFanoutTable()
	defer table.print(b.out)
	for _, s := range b.situations(quick) {
		if s.viewers > b.limit {
			b.progress("%v: left out, this process may have %d only (ulimit -n)", s, b.limit)
			continue
		}
		frames, err := b.record(s.queries)
		if err != nil {
			return err
		}
		var products, floors []outcome
		for pair := range b.pairs {
			// The order alternates, so that what slowly changes on the machine
			// favours neither.
			for _, isProduct := range []bool{pair%2 == 0, pair%2 != 0} {
				o, err := b.measure(s, isProduct, frames)
				if err != nil {
					return fmt.Errorf("%v: %w", s, err)
				}
				if isProduct {
					b.progress("%v: product %v", s, o)
					products = append(products, o)
				} else {
					b.progress("%v: floor   %v", s, o)
					floors = append(floors, o)
				}
			}
		}
		table.add(s, products, floors)
	}
	return nil
}

// outcome is what one run has shown.
type outcome struct {
	cpu        time.Duration // of the server, while measured
	idle       time.Duration // of that, what it uses without viewers
	deliveries float64       // updates, or sets of one for each room, received
	due        float64       // deliveries if nothing had been put together
	bytes      float64       // of a delivery, payload
	p50, p99   time.Duration // from when the sample was taken
	sentP99    time.Duration // from when the server began to send
	memory     float64       // bytes a viewer
	writes     float64       // system calls for the deliveries; 0: not known
	generator  time.Duration // processor time of this process
}

// perDelivery is the server's processor time in microseconds.
func (o outcome) perDelivery() float64 { return float64(o.cpu) / 1e3 / o.deliveries }

// forViewers is the same without what the server uses when nobody watches.
func (o outcome) forViewers() float64 { return float64(o.cpu-o.idle) / 1e3 / o.deliveries }

func (o outcome) String() string {
	return fmt.Sprintf("%.2f µs (%.2f without its own), %.0f B, p50 %v p99 %v (%v from sending), %.0f B/viewer, %.3f writes, %.0f %% delivered, generator %.2f µs",
		o.perDelivery(), o.forViewers(), o.bytes, o.p50, o.p99, o.sentP99, o.memory, o.writes/o.deliveries, 100*o.deliveries/o.due,
		float64(o.generator)/1e3/o.deliveries)
}

// measure runs a situation once, on the product or on the floor.
func (b *bench) measure(s situation, isProduct bool, frames []byte) (o outcome, err error) {
	var server *child.Child
	if isProduct {
		server, err = b.startProduct(b.newDir(), "127.0.0.1:0", s.interval)
	} else {
		server, err = b.startFloor(frames, s.interval)
	}
	if err != nil {
		return o, err
	}
	defer server.Kill()
	time.Sleep(b.times.settle)
	idleFrom, err := server.CPU()
	if err != nil {
		return o, err
	}
	time.Sleep(b.times.settle)
	idleTo, err := server.CPU()
	if err != nil {
		return o, err
	}
	o.idle = time.Duration(float64(idleTo-idleFrom) / float64(b.times.settle) * float64(b.times.measure))
	empty, err := server.Resident()
	if err != nil {
		return o, err
	}

	unreading := s.viewers * s.unreading / 100
	fleet, err := load.New(load.Plan{
		Server: server.Address, Viewers: s.viewers, Bare: !isProduct, Polling: isProduct && s.polling, Queries: s.queries, Pausable: unreading,
	})
	if err != nil {
		return o, err
	}
	defer fleet.Close()
	if err := fleet.Connect(connectTimeout); err != nil {
		return o, err
	}
	if err := fleet.Pause(0, unreading); err != nil {
		return o, err
	}
	if err := fleet.Run(b.times.settle + b.times.warmup); err != nil {
		return o, err
	}
	if err := b.observe(&o, server, fleet, isProduct); err != nil {
		return o, err
	}
	full, err := server.Resident()
	if err != nil {
		return o, err
	}
	o.memory = float64(full-empty) / float64(s.viewers)
	figures := fleet.Figures()
	o.deliveries = float64(figures.Updates) / float64(len(s.queries))
	if o.deliveries == 0 {
		return o, fmt.Errorf("nothing was delivered")
	}
	o.due = float64(s.viewers-unreading) * float64(b.times.measure) / float64(s.interval)
	o.bytes = float64(figures.Bytes) / o.deliveries
	o.p50, o.p99 = figures.FromSample.Percentile(0.5), figures.FromSample.Percentile(0.99)
	o.sentP99 = figures.FromSend.Percentile(0.99)
	if isProduct {
		o.writes -= float64(figures.Pings) // each is a call of its own
	}
	return o, nil
}

// connectTimeout is how long all viewers may take.
const connectTimeout = 2 * time.Minute

// observe is the measured time itself. The metrics are read outside of it: on a
// page of 10 KB a server spends as much as on a thousand updates.
func (b *bench) observe(o *outcome, server *child.Child, fleet *load.Fleet, isProduct bool) error {
	var before, after measure.Metrics
	var err error
	if isProduct {
		if before, err = server.Metrics(); err != nil {
			return err
		}
	}
	fleet.Reset()
	ownFrom, err := ownCPU()
	if err != nil {
		return err
	}
	from, err := server.CPU()
	if err != nil {
		return err
	}
	if err := fleet.Run(b.times.measure); err != nil {
		return err
	}
	to, err := server.CPU()
	if err != nil {
		return err
	}
	ownTo, err := ownCPU()
	if err != nil {
		return err
	}
	if isProduct {
		if after, err = server.Metrics(); err != nil {
			return err
		}
		o.writes = after[metricWrites] - before[metricWrites]
	}
	o.cpu, o.generator = to-from, ownTo-ownFrom
	return b.ctx.Err()
}

// Names of the product's metrics.
const (
	metricWrites = "stripchart_sent_writes_total"
)
