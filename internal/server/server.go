package server

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"stripchart/internal/live"
	"stripchart/internal/socketio"
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
	// Ingest takes the requests of writers, of any method; nil is a server that
	// cannot be written to.
	Ingest http.Handler
}

// Server answers HTTP requests. It implements http.Handler.
type Server struct {
	o    Options
	http *http.Server
}

// New returns a server that is started by Serve. It registers its namespaces
// with o.Sockets.
func New(o Options) (*Server, error) {
	s := &Server{o: o}
	o.Sockets.Handle(live.NamespaceRoot, &rootNamespace{o.Hub})
	o.Sockets.Handle(live.NamespaceLive, &liveNamespace{o.Hub})
	if err := o.Registry.Register(newSocketMetrics(o.Sockets)); err != nil {
		return nil, err
	}
	page, err := newPage(o.Window)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/socket.io/", s.socket)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { sayOK(w) })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Registry, promhttp.HandlerOpts{}))
	if o.Ingest != nil {
		mux.Handle("/api/v1/write", o.Ingest)
	}
	mux.Handle("/", page)
	s.http = &http.Server{
		Handler: s.guard(mux),
		// A stranger may neither keep a request open nor make it large.
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

// Serve answers requests on l until Shutdown; then it returns nil.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// Shutdown says goodbye to the pages, ends every connection and waits for all
// that is under way, until ctx ends. What it could not wait for is cut off.
func (s *Server) Shutdown(ctx context.Context, retry time.Duration) error {
	s.o.Hub.Bye(retry)
	errSockets := s.o.Sockets.Shutdown(ctx)
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close()
		return err
	}
	return errSockets
}

// socket passes Socket.IO on. Until the log has been read to its end nobody may
// join, and clients try again by themselves.
func (s *Server) socket(w http.ResponseWriter, r *http.Request) {
	if !s.o.Hub.IsReady() {
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusServiceUnavailable, "not_ready", "the server is starting; try again in a moment")
		return
	}
	s.o.Sockets.ServeHTTP(w, r)
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if !s.o.Hub.IsReady() {
		fail(w, http.StatusServiceUnavailable, "not_ready", "the log has not been read to its end yet")
		return
	}
	sayOK(w)
}
