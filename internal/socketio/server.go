package socketio

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/gobwas/ws"
)

var (
	errStopped       = errors.New("server is shutting down")
	errTooManyConns  = errors.New("too many connections")
	errTooManyOfAddr = errors.New("too many connections from this address")
)

// Server is a Socket.IO server, an http.Handler. Make it with NewServer.
type Server struct {
	cfg        Config
	namespaces map[string]*namespace // written before serving only
	output     output
	heartbeat  *heartbeat
	idle       idle
	buffers    bufferPool
	senders    sync.Pool // of *sender
	flate      flatePool
	count      counters

	// wg counts every connection until its end, and every goroutine. It grows only under
	// mu while stopped is false, or while something that it counts is running. It does not
	// count requests in ServeHTTP, for which http.Server waits: they do nothing to a
	// connection that has ended.
	wg sync.WaitGroup

	mu       sync.Mutex // guards the fields below
	stopped  bool
	conns    map[*Conn]struct{}
	sessions map[string]*Conn // those that began with polling, by id
	admitted admission
	tally    tally
}

// NewServer makes a server. It starts nothing until a client comes.
func NewServer(cfg Config) *Server {
	s := &Server{
		cfg:        cfg.withDefaults(),
		namespaces: map[string]*namespace{},
		conns:      map[*Conn]struct{}{},
		sessions:   map[string]*Conn{},
		tally:      tally{closed: map[string]int64{}, rejected: map[string]int64{}},
	}
	s.admitted = newAdmission(s.cfg)
	s.output.bound = int64(s.cfg.TotalOutputBytes)
	s.flate.from = s.cfg.CompressFrom
	s.heartbeat = newHeartbeat(s)
	s.idle.server = s
	return s
}

// Config returns the configuration with every default filled in. A count that has
// no limit is math.MaxInt.
func (s *Server) Config() Config { return s.cfg }

// Handle sets the handler of a namespace, "/" or "/name". It must not be called
// once the server serves. It panics on a name that no client could ask for.
func (s *Server) Handle(name string, h Namespace) {
	if !strings.HasPrefix(name, "/") || strings.ContainsAny(name, ",?") {
		panic("socketio: namespace " + name + ` is not "/" or "/name" without comma and question mark`)
	}
	receiver, _ := h.(Receiver)
	s.namespaces[name] = &namespace{name: name, handler: h, receiver: receiver}
}

// Shutdown refuses new connections, sends every client its queued packets and a close
// frame, and returns when all connections have ended. If ctx ends first, Shutdown cuts the
// remaining connections and returns ctx's error. The official clients reconnect after it.
//
// It comes before http.Server.Shutdown, which knows nothing of WebSockets and
// waits for polls. It must not be called from a Namespace's methods.
func (s *Server) Shutdown(ctx context.Context) error {
	for _, c := range s.stop() {
		c.shut(ReasonShutdown, ending{ws.StatusGoingAway, "server is shutting down; come back"}, closeGrace)
	}
	ended := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	s.killAll()
	<-ended
	return ctx.Err()
}

// Close is Shutdown without close frames: it cuts all connections.
func (s *Server) Close() error {
	s.stop()
	s.killAll()
	s.wg.Wait()
	return nil
}

// stop refuses new connections from now on and returns the present ones.
func (s *Server) stop() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	return slices.Collect(maps.Keys(s.conns))
}

// all returns the present connections.
func (s *Server) all() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.conns))
}

func (s *Server) killAll() {
	for _, c := range s.stop() {
		c.kill(ReasonShutdown)
	}
}

// enter admits a request. While the server stops, it admits only polls of the remaining
// sessions, which fetch their queued packets.
func (s *Server) enter(sid string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped && s.sessions[sid] == nil {
		return errStopped
	}
	return nil
}

// admit reserves a place for a connection of addr.
func (s *Server) admit(addr string) (*address, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.admitted.enter(addr)
}

// dismiss frees a place that no connection took.
func (s *Server) dismiss(addr *address) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.admitted.leave(addr)
}

// joined notes that a session has joined a namespace.
func (s *Server) joined(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.admitted.joined(c)
}

// register adds a connection for which admit reserved the place. It fails if the server
// was stopped meanwhile.
func (s *Server) register(c *Conn) error {
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return errStopped
	}
	s.conns[c] = struct{}{}
	var displaced *Conn
	if c.polling != nil {
		s.sessions[c.id] = c
		if s.cfg.Raw == nil {
			displaced = s.admitted.join(c)
		}
	}
	s.wg.Add(1) // until unregister
	s.tally.opened++
	s.mu.Unlock()
	if displaced != nil {
		displaced.kill(ReasonDisplaced)
	}
	s.heartbeat.add(c)
	return nil
}

// unregister removes a connection; nothing is done with it afterwards.
func (s *Server) unregister(c *Conn) {
	s.heartbeat.remove(c)
	s.idle.retire(c)
	s.mu.Lock()
	delete(s.conns, c)
	delete(s.sessions, c.id)
	s.admitted.joined(c)
	s.admitted.leave(c.addr)
	s.tally.closed[c.reason]++
	s.mu.Unlock()
	s.wg.Done()
}

// session finds a session that began with polling.
func (s *Server) session(id string) *Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[id]
}

// newID returns an id that cannot be guessed: at least 128 random bits.
func newID() string { return rand.Text() }

// sender returns a sender for one goroutine, from the pool.
func (s *Server) sender() *sender {
	if sd, ok := s.senders.Get().(*sender); ok {
		return sd
	}
	return newSender()
}

// putSender takes a sender back.
func (s *Server) putSender(sd *sender) {
	s.account(sd)
	sd.release()
	s.senders.Put(sd)
}
