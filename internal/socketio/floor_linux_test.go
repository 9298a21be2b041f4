package socketio

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"
)

// The benchmarks here compare sending to many with the floor: a bare loop that
// writes a finished frame to each socket, with the same heartbeats. The server
// is a process of its own, whose processor time and memory are its alone.
//
//	go test ./internal/socketio -run '^$' -bench SendingToMany -benchtime 1x -timeout 20m
//
// Reported: µs of the server's processor time and the 99th percentile of the
// delivery time per message, bytes of resident memory per connection.

// benchServerEnv makes the benchmark the server process: "floor" or "socketio",
// with "+tls" behind it over TLS, rooms, messages per second.
const benchServerEnv = "SOCKETIO_BENCH_SERVER"

// benchAnswer begins the lines of the server process.
const benchAnswer = "= "

const (
	benchWarmup  = 4 * time.Second
	benchMeasure = 10 * time.Second
	benchPing    = 25 * time.Second
)

func benchEnvInt(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

func BenchmarkSendingToMany(b *testing.B) {
	if spec := os.Getenv(benchServerEnv); spec != "" {
		benchServer(spec)
		os.Exit(0)
	}
	conns := benchEnvInt("SOCKETIO_BENCH_CONNS", 5000)
	rate := benchEnvInt("SOCKETIO_BENCH_RATE", 5)
	for _, rooms := range []int{1, 12} {
		for _, kind := range []string{"floor", "socketio"} {
			b.Run(fmt.Sprintf("%s/rooms=%d", kind, rooms), func(b *testing.B) {
				for range b.N {
					benchRun(b, kind, rooms, rate, conns, func(addr string) (benchLoad, error) {
						return newLoad(addr, conns, kind == "socketio")
					})
				}
			})
		}
	}
}

// benchReport is what the server process tells on a line of its own.
type benchReport struct {
	CPU     float64 // seconds, user and system
	RSS     int64   // bytes
	Heap    int64
	Stack   int64
	Objects int64
}

// benchLoad is the clients of a run.
type benchLoad interface {
	run(d time.Duration)
	reset()
	delivered() int // messages since reset, one for each viewer and tick
	percentile(p float64) time.Duration
	close()
}

func benchRun(b *testing.B, kind string, rooms, rate, conns int, connect func(addr string) (benchLoad, error)) {
	cmd := exec.Command(os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkSendingToMany$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d", benchServerEnv, kind, rooms, rate))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer cmd.Wait()
	defer stdin.Close()
	lines := bufio.NewScanner(stdout)
	ask := func(command string) string {
		fmt.Fprintln(stdin, command)
		for lines.Scan() {
			// The testing package prints lines of its own.
			if answer, ok := strings.CutPrefix(lines.Text(), benchAnswer); ok {
				return answer
			}
		}
		b.Fatal("server process ended")
		return ""
	}
	report := func() (r benchReport) {
		if err := json.Unmarshal([]byte(ask("report")), &r); err != nil {
			b.Fatal(err)
		}
		return r
	}
	addr := ask("address")
	empty := report()
	load, err := connect(addr)
	if err != nil {
		b.Fatal(err)
	}
	defer load.close()
	load.run(time.Second) // what connecting sends
	idle := report()
	ask("start")
	load.run(benchWarmup)
	load.reset()
	before := report()
	load.run(benchMeasure)
	after := report()
	delivered := float64(load.delivered())
	if delivered == 0 {
		b.Fatal("nothing was delivered")
	}
	b.ReportMetric((after.CPU-before.CPU)*1e6/delivered, "µs/msg")
	b.ReportMetric(load.percentile(0.5).Seconds()*1e3, "p50-ms")
	b.ReportMetric(load.percentile(0.99).Seconds()*1e3, "p99-ms")
	b.ReportMetric(float64(idle.RSS-empty.RSS)/float64(conns), "idle-B/conn")
	b.ReportMetric(float64(after.RSS-empty.RSS)/float64(conns), "B/conn")
	b.ReportMetric(float64(idle.Heap-empty.Heap)/float64(conns), "heap-B/conn")
	b.ReportMetric(float64(idle.Stack-empty.Stack)/float64(conns), "stack-B/conn")
	b.ReportMetric(delivered/benchMeasure.Seconds(), "msg/s")
	b.ReportMetric(0, "ns/op")
}

// benchServer is the server process: it obeys lines on standard input.
func benchServer(spec string) {
	var kind string
	var rooms, rate int
	if _, err := fmt.Sscan(spec, &kind, &rooms, &rate); err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	var handler http.Handler
	var tick func()
	kind, secure := strings.CutSuffix(kind, overTLS)
	if kind == "floor" {
		f := &floor{server: NewServer(Config{}), frames: make([]byte, 0, 4096)}
		handler, tick = f, func() { f.tick(rooms) }
		go f.heartbeat()
	} else {
		m := &many{}
		m.server = NewServer(Config{PingInterval: benchPing, MaxConnsPerAddr: -1})
		m.server.Handle("/live", m)
		handler, tick = m.server, func() { m.tick(rooms) }
	}
	web := httptest.NewUnstartedServer(handler)
	_ = web.Listener.Close() // that of its own
	web.Listener = l
	if secure {
		web.StartTLS()
	} else {
		web.Start()
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		switch in.Text() {
		case "address":
			fmt.Println(benchAnswer + l.Addr().String())
		case "start":
			fmt.Println(benchAnswer + "started")
			go func() {
				for range time.Tick(time.Second / time.Duration(rate)) {
					tick()
				}
			}()
		case "report":
			// What collections leave free counts as used: it is resident.
			runtime.GC()
			debug.FreeOSMemory()
			var mem runtime.MemStats
			runtime.ReadMemStats(&mem)
			line, _ := json.Marshal(benchReport{CPU: processorTime(), RSS: resident(), Heap: int64(mem.HeapAlloc), Stack: int64(mem.StackInuse)})
			fmt.Println(benchAnswer + string(line))
		}
	}
}

func processorTime() float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func resident() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		panic(err)
	}
	return kb << 10
}

// benchMessage is an update of about 90 bytes that tells when it was sent.
func benchMessage(room int) json.RawMessage {
	return fmt.Appendf(nil, `{"t":"%019d","room":"r-%04x","blocks":[{"ids":[0],"y":[[12.5]]}]}`, time.Now().UnixNano(), room)
}

// floor is the bare loop.
type floor struct {
	server *Server // for its handshake only
	mu     sync.Mutex
	conns  []net.Conn
	frames []byte
}

func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, _, _, err := f.server.upgradeHTTP(w, r)
	if err != nil {
		return
	}
	f.mu.Lock()
	f.conns = append(f.conns, conn)
	f.mu.Unlock()
	go func() {
		var b [64]byte
		for {
			if _, err := conn.Read(b[:]); err != nil {
				return
			}
		}
	}()
}

func (f *floor) tick(rooms int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frames = f.frames[:0]
	for room := range rooms {
		f.frames = append(f.frames, EncodeEvent("/live", "update", benchMessage(room)).frame...)
	}
	f.each(f.frames)
}

// each writes to all, with as many goroutines as there are processors.
func (f *floor) each(frame []byte) {
	var wg sync.WaitGroup
	for part := range slices.Chunk(f.conns, max(1, (len(f.conns)+1)/runtime.GOMAXPROCS(0))) {
		wg.Go(func() {
			for _, c := range part {
				c.Write(frame)
			}
		})
	}
	wg.Wait()
}

// heartbeat pings a part of the connections at a time, as the server does.
func (f *floor) heartbeat() {
	const parts = 250
	for n := 0; ; n++ {
		time.Sleep(benchPing / parts)
		f.mu.Lock()
		for i := n % parts; i < len(f.conns); i += parts {
			f.conns[i].Write(pingPacket.frame)
		}
		f.mu.Unlock()
	}
}

// many is a namespace that sends to all its sockets.
type many struct {
	server *Server
	mu     sync.Mutex
	out    []Outgoing
	shared []*Packet
}

func (m *many) Connect(*Socket, json.RawMessage) error { return nil }

func (m *many) Connected(s *Socket) {
	m.mu.Lock()
	m.out = append(m.out, Outgoing{Conn: s.Conn()})
	m.mu.Unlock()
}

func (m *many) Event(*Socket, string, []json.RawMessage, func(json.RawMessage)) {}
func (m *many) Drained(*Socket)                                                 {}
func (m *many) Disconnected(*Socket, string)                                    {}

func (m *many) tick(rooms int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.shared = m.shared[:0]
	for room := range rooms {
		m.shared = append(m.shared, EncodeEvent("/live", "update", benchMessage(room)))
	}
	for i := range m.out {
		m.out[i].Packets = m.shared
	}
	m.server.Broadcast(m.out)
}

// load is many clients in one goroutine with little work for each.
type load struct {
	epoll    int
	fds      []int
	messages int
	delays   []time.Duration
	buf      []byte
	events   []unix.EpollEvent
	pong     []byte
}

// newLoad connects; socketIO joins namespace /live. The connections come from
// several loopback addresses, for there are only so many ports for one.
func newLoad(addr string, conns int, socketIO bool) (*load, error) {
	epoll, err := unix.EpollCreate1(0)
	if err != nil {
		return nil, err
	}
	l := &load{
		epoll:  epoll,
		buf:    make([]byte, 64<<10),
		events: make([]unix.EpollEvent, 1024),
		pong:   maskedFrame(ws.NewTextFrame([]byte("3"))),
	}
	errs := make(chan error, conns)
	fds := make(chan int, conns)
	places := make(chan struct{}, 64)
	for i := range conns {
		places <- struct{}{}
		go func() {
			defer func() { <-places }()
			fd, err := benchDial(addr, fmt.Sprintf("127.0.0.%d", 2+i%8), socketIO)
			if err != nil {
				errs <- err
				return
			}
			fds <- fd
		}()
	}
	for range conns {
		select {
		case err := <-errs:
			return nil, err
		case fd := <-fds:
			l.fds = append(l.fds, fd)
			ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
			if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
				return nil, err
			}
		}
	}
	return l, nil
}

// benchDial returns the descriptor of a connection, out of the runtime's poller.
func benchDial(addr, local string, socketIO bool) (int, error) {
	c, err := tryDial(addr, local, eio4)
	if err != nil {
		return 0, err
	}
	defer c.conn.Close()
	if socketIO {
		if _, err := c.conn.Write(maskedFrame(ws.NewTextFrame([]byte("40/live,")))); err != nil {
			return 0, err
		}
		for range 2 {
			if _, _, err := c.frame(); err != nil {
				return 0, err
			}
		}
	}
	file, err := c.conn.(*net.TCPConn).File()
	if err != nil {
		return 0, err
	}
	defer file.Close()
	fd, err := unix.Dup(int(file.Fd()))
	if err != nil {
		return 0, err
	}
	return fd, unix.SetNonblock(fd, true)
}

func (l *load) delivered() int { return l.messages }

func (l *load) reset() { l.messages, l.delays = 0, l.delays[:0] }

// run reads for d.
func (l *load) run(d time.Duration) {
	for end := time.Now().Add(d); ; {
		left := time.Until(end)
		if left <= 0 {
			return
		}
		n, err := unix.EpollWait(l.epoll, l.events, int(left.Milliseconds())+1)
		if err != nil && err != unix.EINTR {
			panic(err)
		}
		for _, ev := range l.events[:max(n, 0)] {
			k, err := unix.Read(int(ev.Fd), l.buf)
			if err != nil || k == 0 {
				panic(fmt.Sprint("connection ended: ", err))
			}
			l.take(int(ev.Fd), l.buf[:k])
		}
	}
}

// take counts the messages in b and answers a ping. The first message of a read
// tells the delay of all: they left together.
func (l *load) take(fd int, b []byte) {
	now := time.Now().UnixNano()
	if n := bytes.Count(b, []byte(`"t":"`)); n > 0 {
		l.messages++ // one for each viewer and tick, however many rooms
		at := bytes.Index(b, []byte(`"t":"`)) + 5
		if len(b) >= at+19 {
			sent, _ := strconv.ParseInt(string(b[at:at+19]), 10, 64)
			l.delays = append(l.delays, time.Duration(now-sent))
		}
	}
	if bytes.Contains(b, pingPacket.frame) {
		unix.Write(fd, l.pong)
	}
}

func (l *load) percentile(p float64) time.Duration {
	slices.Sort(l.delays)
	return l.delays[int(float64(len(l.delays)-1)*p)]
}

func (l *load) close() {
	for _, fd := range l.fds {
		unix.Close(fd)
	}
	unix.Close(l.epoll)
}
