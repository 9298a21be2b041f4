package socketio

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
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

// benchServerEnv makes the benchmark's own program the server process. Its value is the
// kind of server ("plain" or "tls"), rooms, and messages per second.
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

// BenchmarkSendingOverTLS compares sending to many over TLS with the same over plain TCP,
// in one run. The server is a process of its own, so that its processor time and memory
// are its alone. The clients have a goroutine each, for they have to decrypt; delays include
// their share. What plain sending costs, compared with a bare loop, is measured by
// bench/viewers.
//
//	go test ./internal/socketio -run '^$' -bench SendingOverTLS -benchtime 1x -timeout 20m
func BenchmarkSendingOverTLS(b *testing.B) {
	if spec := os.Getenv(benchServerEnv); spec != "" {
		benchServer(spec)
		os.Exit(0)
	}
	conns := benchEnvInt("SOCKETIO_BENCH_CONNS", 1000)
	rate := benchEnvInt("SOCKETIO_BENCH_RATE", 5)
	for _, rooms := range []int{1, 12} {
		for _, kind := range []string{"plain", "tls"} {
			b.Run(fmt.Sprintf("%s/rooms=%d", kind, rooms), func(b *testing.B) {
				for range b.N {
					benchRun(b, kind, rooms, rate, conns)
				}
			})
		}
	}
}

// benchReport is a line of the server process.
type benchReport struct {
	CPU     float64 // seconds, user and system
	RSS     int64   // bytes
	Heap    int64
	Stack   int64
	Objects int64
}

func benchRun(b *testing.B, kind string, rooms, rate, conns int) {
	cmd := exec.Command(os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkSendingOverTLS$")
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
	load, err := newReaders(addr, conns, kind == "tls")
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
	m := &many{server: NewServer(Config{PingInterval: benchPing, MaxConnsPerAddr: -1})}
	m.server.Handle("/live", m)
	web := httptest.NewUnstartedServer(m.server)
	_ = web.Listener.Close() // the one that httptest made
	web.Listener = l
	if kind == "tls" {
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
					m.tick(rooms)
				}
			}()
		case "report":
			// Return free memory to the system: resident memory is reported.
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

// readers are clients with a goroutine each.
type readers struct {
	conns   []net.Conn
	reading sync.WaitGroup

	mu       sync.Mutex // guards the fields below
	messages int
	delays   []time.Duration
}

func newReaders(addr string, conns int, overTLS bool) (*readers, error) {
	r := &readers{}
	for i := range conns {
		c, err := dialReader(addr, fmt.Sprintf("127.0.0.%d", 2+i%8), overTLS)
		if err != nil {
			r.close()
			return nil, err
		}
		r.conns = append(r.conns, c.conn)
		r.reading.Go(func() { r.read(c.conn) })
	}
	return r, nil
}

func dialReader(addr, local string, overTLS bool) (*client, error) {
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}}
	dialer := ws.Dialer{NetDial: d.DialContext, ReadBufferSize: 512, WriteBufferSize: 512}
	if overTLS {
		dialer.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := d.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			// The certificate is the public one of httptest.
			secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
			return secure, secure.HandshakeContext(ctx)
		}
	}
	c, err := dialWith(dialer, addr, eio4)
	if err != nil {
		return c, err
	}
	if _, err := c.conn.Write(maskedFrame(ws.NewTextFrame([]byte("40/live,")))); err != nil {
		return nil, err
	}
	for range 2 {
		if _, _, err := c.frame(); err != nil {
			return nil, err
		}
	}
	return c, c.conn.SetReadDeadline(time.Time{})
}

// read counts what arrives on conn, and answers pings, until it is closed.
func (r *readers) read(conn net.Conn) {
	mark := []byte(`"t":"`)
	pong := maskedFrame(ws.NewTextFrame([]byte("3")))
	buf := make([]byte, 4<<10)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		now := time.Now().UnixNano()
		if bytes.Contains(buf[:n], pingPacket.frame) {
			if _, err := conn.Write(pong); err != nil {
				return
			}
		}
		at := bytes.Index(buf[:n], mark) + len(mark)
		if at < len(mark) || n < at+19 {
			continue
		}
		sent, _ := strconv.ParseInt(string(buf[at:at+19]), 10, 64)
		r.mu.Lock()
		r.messages++ // what one tick brings is read at once
		r.delays = append(r.delays, time.Duration(now-sent))
		r.mu.Unlock()
	}
}

func (r *readers) run(d time.Duration) { time.Sleep(d) }

func (r *readers) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages, r.delays = 0, r.delays[:0]
}

func (r *readers) delivered() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.messages
}

func (r *readers) percentile(p float64) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.delays)
	return r.delays[int(float64(len(r.delays)-1)*p)]
}

func (r *readers) close() {
	for _, c := range r.conns {
		if outer, ok := c.(*tls.Conn); ok {
			c = outer.NetConn()
		}
		_ = c.Close()
	}
	r.reading.Wait()
}
