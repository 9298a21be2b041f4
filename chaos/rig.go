package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Shape is what a rig consists of.
type Shape struct {
	// Servers is how many `stripchart serve` there are. Zero is one `stripchart`
	// alone, with its own collector and its bus in memory.
	Servers int
	// Sources is how many sources of the harness publish, 0 to 9, and Series how
	// many series each has, 1 to 60.
	Sources, Series int
	// Pushers is how many of the sources publish over HTTP to the first server,
	// instead of to Redis themselves. Without servers of their own all do.
	Pushers int
	// Collectors is how many `stripchart collect` there are.
	Collectors int
	// Crowd is for rooms with more series than servers send.
	Crowd bool
	// Sentinels puts sentinels and a replica to Redis, in place of links.
	Sentinels bool
}

// window is what viewers watch. A rig lives for less than the window, so every viewer must hold
// everything since it began to watch. The samples of a source in one window fit into points.
const window = 800 * time.Second

// rig is real processes with links between them, and viewers.
type rig struct {
	shape   Shape
	dir     string
	began   time.Time
	rand    *rand.Rand
	network *network

	redis, spare *redis // nil without servers of their own
	replication  *link
	sentinels    []*redis // nil in most rigs
	servers      []*server
	sources      []*sourceProcess
	collectors   []*remote
	nginx        *process
	door         string // nginx's address

	writer *writer // without numbers
	crowd  *crowd  // nil in most rigs

	viewers []*viewer     // each alone on a connection
	guests  []*browser    // with several rooms, and restless
	roots   []*rootViewer // of namespace /
	leave   context.CancelFunc
	away    sync.WaitGroup

	disks  bool     // servers and sources have small disks of their own
	mounts []string // of the disks

	back     time.Duration // by how much a source's samples went back: its gaps may begin earlier by that
	front    time.Duration // by how much they were ahead; a clock may have gone back from there
	ahead    time.Duration // by how much the log was ahead of the clock: what was lost since then may end later by that
	losses   []allowance   // where a server that is killed may not know what it has
	unstored []span        // when a server alone has shown what it could not record
}

// remote is a process that reaches the bus through a link.
type remote struct {
	*process
	bus *link
	dir string
}

// sourceProcess is a source of the harness.
type sourceProcess struct {
	remote
	number  int
	journal string
	pushes  bool // over HTTP
}

// kit is what all rigs of a run share.
type kit struct {
	dir        string   // of logs and data
	stripchart string   // the binary
	source     []string // environment that makes this binary a source
	self       string   // this binary
	shim       string
}

// build starts a rig, in a folder of its own.
func (k *kit) build(shape Shape, name string, random *rand.Rand) (r *rig, err error) {
	r = &rig{shape: shape, dir: filepath.Join(k.dir, name), began: time.Now(), rand: random, disks: os.Geteuid() == 0, leave: func() {}}
	r.network = newNetwork()
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return r, err
	}
	if shape.Servers > 0 {
		if err := r.addRedis(k); err != nil {
			return r, err
		}
	}
	for n := range max(shape.Servers, 1) {
		if err := r.addServer(k, n+1); err != nil {
			return r, err
		}
	}
	for n := range shape.Sources {
		if err := r.addSource(k, n+1); err != nil {
			return r, err
		}
	}
	for n := range shape.Collectors {
		if err := r.addCollector(k, n+1); err != nil {
			return r, err
		}
	}
	if shape.Servers > 1 {
		if err := r.addNginx(); err != nil {
			return r, err
		}
	}
	return r, r.inhabit()
}

func (r *rig) logOf(name string) string { return filepath.Join(r.dir, name+".log") }

func (r *rig) addRedis(k *kit) (err error) {
	for _, at := range []struct {
		name string
		to   **redis
	}{{"redis1", &r.redis}, {"redis2", &r.spare}} {
		*at.to, err = newRedis(at.name, filepath.Join(r.dir, at.name), k.shim, r.logOf(at.name), "appendonly", "yes", "appendfsync", "everysec")
		if err != nil {
			return err
		}
	}
	if r.replication, err = r.network.link("replica to redis", r.redis.address); err != nil {
		return err
	}
	if err := r.redis.start(); err != nil || !r.shape.Sentinels {
		return err
	}
	return r.addSentinels()
}

// toBus makes the link of a process to Redis, unless sentinels lead it there, and
// returns its --bus flag.
func (r *rig) toBus(name string) (l *link, flag []string, err error) {
	if r.redis == nil {
		return nil, nil, nil
	}
	if r.sentinels != nil {
		return nil, r.throughSentinels(), nil
	}
	l, err = r.network.link(name+" to redis", r.redis.address)
	if err != nil {
		return nil, nil, err
	}
	return l, []string{"--bus", "redis://" + l.address + "/0"}, nil
}

// toServer makes the link of a process to the first server and returns its --bus flag.
func (r *rig) toServer(name string) (l *link, flag []string, err error) {
	l, err = r.network.link(name+" to server1", r.servers[0].address)
	if err != nil {
		return nil, nil, err
	}
	return l, []string{"--bus", "http://" + l.address}, nil
}

func (r *rig) addServer(k *kit, n int) error {
	name := fmt.Sprint("server", n)
	bus, flags, err := r.toBus(name)
	if err != nil {
		return err
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	door, err := r.network.link("viewers to "+name, address)
	if err != nil {
		return err
	}
	dir := filepath.Join(r.dir, name)
	if err := r.mount(dir, "400m"); err != nil { // more than the reserve of 256 MB
		return err
	}
	args := append([]string{"--data-dir", dir, "--listen", address, "--default-series", rootFlag}, flags...)
	if r.redis != nil {
		args = append([]string{"serve"}, args...)
	} else {
		args = append(args, "--interval", "50ms")
	}
	s := &server{remote{&process{name: name, log: r.logOf(name), bin: k.stripchart, args: args}, bus, dir}, address, door}
	r.servers = append(r.servers, s)
	return s.start()
}

// mount makes dir a disk of its own, in memory, if the rig is to have such.
func (r *rig) mount(dir, size string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if !r.disks {
		return nil
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		return fmt.Errorf("mount a small disk at %s: %w", dir, err)
	}
	r.mounts = append(r.mounts, dir)
	return nil
}

func (r *rig) addSource(k *kit, n int) error {
	name := fmt.Sprint("source", n)
	pushes := r.redis == nil || n > r.shape.Sources-r.shape.Pushers
	toBus := r.toBus
	if pushes {
		toBus = r.toServer
	}
	bus, flags, err := toBus(name)
	if err != nil {
		return err
	}
	dir := filepath.Join(r.dir, name)
	if err := r.mount(dir, "32m"); err != nil {
		return err
	}
	journal := filepath.Join(r.dir, name+".journal")
	args := append([]string{"--source", fmt.Sprint(n), "--series", fmt.Sprint(r.shape.Series), "--data-dir", dir, "--journal", journal}, flags...)
	s := &sourceProcess{remote: remote{&process{name: name, log: r.logOf(name), bin: k.self, args: args, env: k.source}, bus, dir}, number: n, journal: journal, pushes: pushes}
	r.sources = append(r.sources, s)
	return s.start()
}

func (r *rig) addCollector(k *kit, n int) error {
	name := fmt.Sprint("collector", n)
	bus, flags, err := r.toBus(name)
	if err != nil {
		return err
	}
	dir := filepath.Join(r.dir, name)
	args := append([]string{"collect", "--data-dir", dir, "--interval", "250ms"}, flags...)
	c := &remote{&process{name: name, log: r.logOf(name), bin: k.stripchart, args: args}, bus, dir}
	r.collectors = append(r.collectors, c)
	return c.start()
}

// Queries of viewers: what the harness's sources publish, parts of that, and what a
// collector measures.
const (
	everySource    = "chaos"
	firstSource    = `chaos{source="1"}`
	withoutNumbers = `chaos{source="90"}`
	secondSeries   = `chaos{k="1"}`
	measured       = "cpu_usage_percent"
)

// inhabit starts the writers without numbers and the viewers: for each server one viewer that knows
// only this server, some viewers that move between servers, one viewer behind nginx, restless viewers
// with several rooms, and viewers of namespace /.
func (r *rig) inhabit() error {
	ctx, cancel := context.WithCancel(context.Background())
	r.leave = cancel
	var all []string
	for _, s := range r.servers {
		all = append(all, s.door.address)
	}
	if r.shape.Sources > 0 {
		if err := r.addWriters(ctx); err != nil {
			return err
		}
		for n, s := range r.servers {
			r.watch(ctx, newViewer(fmt.Sprint("viewer of server", n+1), everySource, window), s.door.address)
		}
		r.watch(ctx, newViewer("viewer of any server", everySource, window), all...)
		r.watch(ctx, newViewer("viewer of one source", firstSource, window), all...)
		if r.nginx != nil {
			r.watch(ctx, newViewer("viewer behind nginx", everySource, window), r.door)
		}
		for n := range 2 {
			r.addGuest(ctx, fmt.Sprint("guest ", n+1), all)
		}
		for n := range 4 {
			v := newRootViewer(fmt.Sprint("viewer of / ", n+1), n > 1, all...)
			r.roots = append(r.roots, v)
			r.away.Go(func() { v.watch(ctx) })
		}
	}
	if r.shape.Collectors > 0 || r.redis == nil {
		for n, s := range r.servers {
			r.watch(ctx, newViewer(fmt.Sprint("viewer of the collector at server", n+1), measured, window), s.door.address)
		}
		r.watch(ctx, newViewer("viewer of the collector at any server", measured, window), all...)
	}
	return nil
}

// watch lets a viewer watch, alone on its connection.
func (r *rig) watch(ctx context.Context, v *viewer, addresses ...string) {
	r.viewers = append(r.viewers, v)
	b := &browser{name: v.name, addresses: addresses, viewers: []*viewer{v}}
	r.away.Go(func() { b.watch(ctx) })
}

// addGuest lets a restless viewer of several rooms watch.
func (r *rig) addGuest(ctx context.Context, name string, addresses []string) {
	b := &browser{name: name, addresses: addresses, restless: true}
	for _, query := range []string{everySource, firstSource, withoutNumbers, secondSeries} {
		b.viewers = append(b.viewers, newViewer(name+" in "+query, query, window))
	}
	if r.crowd != nil {
		v := newViewer(name+" in the crowd", crowdQuery, crowdWindow)
		v.crowded = true
		b.viewers = append(b.viewers, v)
	}
	r.guests = append(r.guests, b)
	r.away.Go(func() { b.watch(ctx) })
}

// addWriters lets writers without numbers write to the first server.
func (r *rig) addWriters(ctx context.Context) error {
	l, _, err := r.toServer("writer")
	if err != nil {
		return err
	}
	r.writer = newWriter(l, 3, rand.New(rand.NewPCG(r.rand.Uint64(), 0)))
	r.away.Go(func() { r.writer.write(ctx) })
	if !r.shape.Crowd {
		return nil
	}
	if l, _, err = r.toServer("crowd"); err != nil {
		return err
	}
	r.crowd = newCrowd(l, rand.New(rand.NewPCG(r.rand.Uint64(), 0)))
	r.away.Go(func() { r.crowd.write(ctx) })
	return nil
}

// close ends everything. It returns what ended by itself before.
func (r *rig) close() error {
	r.leave()
	r.away.Wait()
	var errs []error
	for _, p := range r.processes() {
		errs = append(errs, p.failure())
		_ = p.signal(syscall.SIGCONT) // one that is stopped does not hear anything else
		p.kill()
	}
	r.network.close()
	for _, m := range r.mounts {
		errs = append(errs, syscall.Unmount(m, syscall.MNT_DETACH))
	}
	return errors.Join(errs...)
}

// processes are all that were started, those that publish first.
func (r *rig) processes() (out []*process) {
	for _, s := range r.sources {
		out = append(out, s.process)
	}
	for _, c := range r.collectors {
		out = append(out, c.process)
	}
	if r.nginx != nil {
		out = append(out, r.nginx)
	}
	for _, s := range r.servers {
		out = append(out, s.process)
	}
	if r.redis != nil {
		for _, s := range r.sentinels {
			out = append(out, s.process)
		}
		out = append(out, r.redis.process, r.spare.process)
	}
	return out
}

// failures returns what ended by itself since the last call.
func (r *rig) failures() error {
	var errs []error
	for _, p := range r.processes() {
		errs = append(errs, p.failure())
	}
	for _, v := range r.everybody() {
		v.mu.Lock()
		errs = append(errs, v.broken)
		v.broken = nil
		v.mu.Unlock()
	}
	for _, v := range r.roots {
		v.mu.Lock()
		errs = append(errs, v.broken)
		v.broken = nil
		v.mu.Unlock()
	}
	if r.writer != nil {
		errs = append(errs, r.writer.failure())
	}
	if r.crowd != nil {
		errs = append(errs, r.crowd.failure())
	}
	return errors.Join(errs...)
}

// everybody are all viewers of namespace /live.
func (r *rig) everybody() []*viewer {
	out := slices.Clone(r.viewers)
	for _, b := range r.guests {
		out = append(out, b.viewers...)
	}
	return out
}
