package server

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"stripchart/internal/access"
	"stripchart/internal/api"
	"stripchart/internal/ingest"
	"stripchart/internal/live"
	"stripchart/internal/socketio"
	"stripchart/internal/wire"
)

// Options of New.
type Options struct {
	Sockets  *socketio.Server
	Hub      *live.Hub
	Registry *prometheus.Registry
	Log      *slog.Logger
	// Window is what /plotly shows; it is rounded to whole seconds.
	Window time.Duration
	// AnyHost lets every Host header in (--insecure). Otherwise only names of the
	// loopback interface pass.
	AnyHost bool
	// Reach is how browsers reach the server.
	Reach Reach
	// MaxOpen bounds the open connections of every kind, Socket.IO's included, and
	// MaxOpenPerAddress those of one address; 0: no bound.
	MaxOpen, MaxOpenPerAddress int
	// Certificate makes the server speak TLS alone; nil: it speaks plain HTTP.
	Certificate *Certificate
	// Limits are further bounds, kept elsewhere, that /metrics shows.
	Limits map[string]float64
	// Overloaded reports whether memory is short. Pages cannot join then. nil: never.
	Overloaded func() bool
	// Ingest handles the requests at ingest.Paths, of any method; nil: the server has no
	// write endpoints.
	Ingest http.Handler
	// API answers queries; nil is a server that is not asked.
	API *api.API
	// Tokens say who may look and who may write, and Cookies who has signed in; nil: everybody
	// may. With PublicRead everybody may look. The caller runs Tokens.
	Tokens     *access.Tokens
	Cookies    *access.Cookies
	PublicRead bool
}

const (
	// requestTimeout is how long the head and the body of a request may each take to
	// arrive; handlers that read bodies set their own. It also holds for refused requests:
	// http.Server waits for their bodies before it responds.
	requestTimeout = 10 * time.Second
	// answerTimeout is how long a client may take to read the response, counted from the
	// request. Socket.IO sets its own for responses to polls.
	answerTimeout = time.Minute
	// idleTimeout is how long a connection may wait for the next request. It is longer than
	// proxies keep theirs (nginx 60 s, Go and Traefik 90 s, Caddy 2 min, the load
	// balancers of clouds up to 10 min). A proxy that sends a request just as this side
	// closes the connection can only respond with 502.
	idleTimeout = 11 * time.Minute
)

// Server answers HTTP requests. It implements http.Handler.
type Server struct {
	o           Options
	http        *http.Server
	connections *connections
	gate        *gate
	routes      []route
	refused     *prometheus.CounterVec // requests, by the code of the answer
	panics      prometheus.Counter

	unequalLogged minutely // the line about different Host headers
}

// New returns a server that is started by Serve. It registers its namespaces
// with o.Sockets.
func New(o Options) (*Server, error) {
	if o.Overloaded == nil {
		o.Overloaded = func() bool { return false }
	}
	s := &Server{
		o: o, connections: newConnections(&o),
		gate: &gate{tokens: o.Tokens, cookies: o.Cookies, sessions: access.NewSessions(o.Tokens), publicRead: o.PublicRead},
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "stripchart_requests_refused_total", Help: "Requests that were refused before anything was done for them, by the code of the answer.",
		}, []string{"code"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "stripchart_panics_total", Help: "Requests that were cut off by a fault of the server, which is in its log.",
		}),
	}
	for _, code := range refusals {
		s.refused.WithLabelValues(code)
	}
	o.Sockets.Handle(live.NamespaceRoot, &rootNamespace{entrance{o.Hub, s.gate}})
	o.Sockets.Handle(live.NamespaceLive, &liveNamespace{entrance{o.Hub, s.gate}, o.Overloaded})
	bounds := map[string]float64{
		"open_connections":             count(s.connections.max),
		"open_connections_per_address": count(s.connections.perAddress),
		"idle_connections":             float64(s.connections.maxIdle),
		"idle_seconds":                 idleTimeout.Seconds(),
		"request_seconds":              requestTimeout.Seconds(),
		"answer_seconds":               answerTimeout.Seconds(),
	}
	if o.Certificate != nil {
		bounds["requests_per_connection"] = requestsPerConnection
	}
	maps.Copy(bounds, o.Limits)
	if o.API != nil {
		maps.Copy(bounds, o.API.Limits())
	}
	attempts := access.NewAttempts()
	all := []prometheus.Collector{newSocketMetrics(o.Sockets, bounds), s.connections, s.refused, s.panics}
	if o.Tokens != nil {
		all = append(all, o.Tokens, s.gate.sessions, attempts)
	}
	for _, c := range all {
		if err := o.Registry.Register(c); err != nil {
			return nil, err
		}
	}
	page, err := newPage(o.Window)
	if err != nil {
		return nil, err
	}
	s.route("/socket.io/{$}", needJoin, plainForm, http.HandlerFunc(s.socket))
	s.route("/socket.io/", needNothing, plainForm, http.HandlerFunc(noScript))
	s.route("/healthz", needNothing, plainForm, onlyGet(func(w http.ResponseWriter, _ *http.Request) { sayOK(w) }))
	s.route("/readyz", needNothing, plainForm, onlyGet(s.readyz))
	s.route("/metrics", needReadAll, plainForm, onlyGet(promhttp.HandlerFor(o.Registry, promhttp.HandlerOpts{}).ServeHTTP))
	if o.Ingest != nil {
		for _, path := range ingest.Paths() {
			s.route(path, needOfWriters(path), ingest.Refuse, o.Ingest)
		}
	}
	if o.API != nil {
		o.API.Register(func(pattern string, h http.Handler) { s.route(pattern, needRead, api.Refuse, h) })
	}
	if o.Tokens != nil {
		s.route(signInPath, needNothing, plainForm, &signIn{s: s, attempts: attempts})
	}
	s.route("/", needNothing, plainForm, page)
	mux := http.NewServeMux()
	for _, r := range s.routes {
		mux.Handle(r.pattern, s.admit(r.need, r.wording, r.handler))
	}
	s.http = &http.Server{
		Handler: s.survive(o.Reach.Proxies.resolve(o.Reach.below(s.guard(o.Reach.complete(mux))))),
		// These bound how long any client can keep a request open, and its size.
		ReadHeaderTimeout: requestTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    32 << 10,
		// guard must judge OPTIONS * like any other request.
		DisableGeneralOptionsHandler: true,
		ConnState:                    s.connections.changed,
		ConnContext:                  withConn,
		ErrorLog:                     slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	if o.Certificate != nil {
		o.Certificate.use(s.http, o.Log)
	}
	return s, nil
}

// route is a pattern of http.ServeMux, what it asks for, in which form it is refused, and its
// handler.
type route struct {
	pattern string
	need    need
	wording wording
	handler http.Handler
}

// route adds a route. There is no other way to one, so none can be without a need.
func (s *Server) route(pattern string, n need, f wording, h http.Handler) {
	s.routes = append(s.routes, route{pattern, n, f, h})
}

// needOfWriters returns what a path of package ingest asks for. Agents of InfluxDB look for a server
// before they show a token, and the one for CREATE DATABASE answers nothing else.
func needOfWriters(path string) need {
	switch path {
	case ingest.InfluxPing, ingest.InfluxHealth:
		return needNothing
	case ingest.InfluxQuery:
		return needToken
	}
	return needWrite
}

// Serve answers requests on l, which is TCP's, until Shutdown; then it returns nil.
func (s *Server) Serve(l net.Listener) (err error) {
	l = listener{l, s.connections}
	if s.o.Certificate != nil {
		err = s.http.ServeTLS(l, "", "") // with the certificate of TLSConfig
	} else {
		err = s.http.Serve(l)
	}
	if err == http.ErrServerClosed {
		return nil
	}
	return err
}

// Shutdown tells the pages to reconnect after retry, ends every connection and waits for
// requests under way, until ctx ends. The rest is cut.
func (s *Server) Shutdown(ctx context.Context, retry time.Duration) error {
	s.o.Hub.Bye(retry)
	errSockets := s.o.Sockets.Shutdown(ctx)
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close()
		return err
	}
	return errSockets
}

// survive ends a request whose handler panics, and logs it as an error. http.Server would
// log it among its messages about clients, at level debug.
func (s *Server) survive(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v != http.ErrAbortHandler {
				s.panics.Inc()
				s.o.Log.Error("internal error: a request was aborted; please report this", "method", r.Method, "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
			}
			panic(http.ErrAbortHandler)
		}()
		next.ServeHTTP(w, r)
	})
}

// socket passes requests on to Socket.IO. Until the log has been read to its end, and while
// nothing can be applied, no page may join; clients retry by themselves.
func (s *Server) socket(w http.ResponseWriter, r *http.Request) {
	if reason := s.notReady(); reason != "" {
		w.Header().Set("Retry-After", "1")
		s.refuse(w, r, http.StatusServiceUnavailable, wire.CodeNotReady, reason+"; try again in a moment")
		return
	}
	if s.o.Overloaded() && !r.URL.Query().Has("sid") {
		w.Header().Set("Retry-After", "5")
		s.refuse(w, r, http.StatusServiceUnavailable, wire.CodeOverloaded, overloaded)
		return
	}
	s.o.Sockets.ServeHTTP(w, r)
}

// overloaded is the message for pages that try to join while memory is short.
const overloaded = "the server is short of memory, and no page can join; try again in a moment"

// noScript answers other requests below /socket.io/. Pages of Node.js servers load the
// client's script from there.
func noScript(w http.ResponseWriter, r *http.Request) {
	fail(w, r, http.StatusNotFound, "not_found", "Socket.IO is at /socket.io/ alone, and its client's script is not served here: "+
		"load the package socket.io-client from your own site")
}

// notReady returns why pages cannot join; "" if they can.
func (s *Server) notReady() string {
	switch {
	case !s.o.Hub.IsReady():
		return "the log has not been read to its end yet"
	case s.o.Hub.Stalled() != nil:
		return "nothing can be recorded; the reason is in the server's log"
	}
	return ""
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	if reason := s.notReady(); reason != "" {
		fail(w, r, http.StatusServiceUnavailable, wire.CodeNotReady, reason)
		return
	}
	sayOK(w)
}

// onlyGet makes f a handler of GET and HEAD.
func onlyGet(f http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refusedMethod(w, r) {
			return
		}
		f(w, r)
	})
}

// refusedMethod refuses methods other than GET and HEAD, and reports whether it did.
func refusedMethod(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		leaveBody(w, r)
		return false
	}
	w.Header().Set("Allow", "GET, HEAD")
	fail(w, r, http.StatusMethodNotAllowed, "method_not_allowed", "use GET")
	return true
}
