package server

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/access"
	"stripchart/internal/api"
	"stripchart/internal/bus"
	"stripchart/internal/bus/membus"
	"stripchart/internal/ingest"
	"stripchart/internal/live"
	"stripchart/internal/socketio"
	"stripchart/internal/socketio/siotest"
	"stripchart/internal/store"
	"stripchart/internal/testkit"
)

// guarded is a server with tokens that runs, over a store with series of two rooms.
type guarded struct {
	*served
	t       *testing.T
	log     *testkit.Log
	bus     *membus.Bus
	hub     *live.Hub
	store   *store.Store
	file    access.Editor
	tokens  *access.Tokens
	cookies *access.Cookies
	token   map[string]string // by name
	expired string            // value of a cookie
	written chan *bus.Batch   // what writers have brought
}

// The names of tokens, and of other credentials, in tables.
const (
	nobody, wrong, reader, boundReader, writer, boundWriter = "nobody", "wrong", "reader", "bound-reader", "writer", "bound-writer"
	signedIn, expired, removed, removedCookie               = "signed in", "expired cookie", "removed token", "removed cookie"
)

// credentials are all columns of tables.
var credentials = []string{nobody, wrong, reader, boundReader, writer, boundWriter, signedIn, expired, removed, removedCookie}

func newGuarded(t *testing.T, publicRead bool) *guarded {
	t.Helper()
	g := newBare(t, publicRead)
	g.publish("temperature", "lab", 20)
	g.publish("temperature", "vault", 30)
	g.publish("secret_weight", "vault", 40)
	return g
}

// newBare is newGuarded without any series.
func newBare(t *testing.T, publicRead bool) *guarded {
	t.Helper()
	g := &guarded{t: t, log: &testkit.Log{}, bus: membus.New(membus.Options{}), token: map[string]string{}, written: make(chan *bus.Batch, 100)}
	log := g.log.Logger()
	g.file = access.Editor{Path: filepath.Join(t.TempDir(), "tokens"), Rules: access.Rules{Selector: store.ParseSelector, Source: bus.CheckSource}}
	for _, e := range []access.Entry{
		{Name: reader, Scope: access.Read},
		{Name: boundReader, Scope: access.Read, Match: `{room="lab"}`},
		{Name: writer, Scope: access.Write},
		{Name: boundWriter, Scope: access.Write, Labels: map[string]string{"room": "lab"}, Source: "lab-1"},
		{Name: "gone", Scope: access.Read},
	} {
		var err error
		if g.token[e.Name], err = g.file.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if g.tokens, err = access.Open(g.file.Path, g.file.Rules, log); err != nil {
		t.Fatal(err)
	}
	if g.cookies, err = access.OpenCookies(g.tokens, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	g.token[signedIn] = g.cookies.Make(g.tokens.Find(g.token[reader]))
	g.token[removed], g.token[removedCookie] = g.token["gone"], g.cookies.Make(g.tokens.Find(g.token["gone"]))
	synctest.Test(t, func(*testing.T) { // in the year 2000
		g.expired = g.cookies.Make(g.tokens.Find(g.token[reader]))
	})
	if g.store, err = store.Open(store.Options{Dir: t.TempDir(), ReserveBytes: -1}); err != nil {
		t.Fatal(err)
	}
	sockets := socketio.NewServer(socketio.Config{Accept: Accept})
	g.hub, err = live.New(live.Options{Bus: g.bus, Store: live.NewStore(g.store), Transport: Transport(sockets), DefaultSeries: `temperature`})
	if err != nil {
		t.Fatal(err)
	}
	writes, err := ingest.New(ingest.Options{Publish: func(ctx context.Context, b *bus.Batch) error {
		g.written <- b
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	queries, err := api.New(api.Options{Store: g.store, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{
		Sockets: sockets, Hub: g.hub, Registry: prometheus.NewRegistry(), Log: log, Window: time.Minute, Ingest: writes, API: queries,
		Tokens: g.tokens, Cookies: g.cookies, PublicRead: publicRead,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = g.hub.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		for _, err := range []error{sockets.Close(), g.hub.Close(), g.store.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	<-g.hub.Ready()
	g.served = serveReal(t, s, testkit.Patience)
	if err := g.file.Remove("gone"); err != nil {
		t.Fatal(err)
	}
	g.tokens.Poll()
	return g
}

// publish writes a sample of now, and returns once it is recorded.
func (g *guarded) publish(name, room string, v float64) {
	g.t.Helper()
	ls := labels.FromStrings("__name__", name, "room", room)
	t := time.Now().UnixMilli()
	if err := g.bus.Publish(g.t.Context(), &bus.Batch{Series: []bus.Series{{Labels: ls, Samples: []bus.Sample{{T: t, V: v}}}}}); err != nil {
		g.t.Fatal(err)
	}
	testkit.Eventually(g.t, name+" is known", func() bool { return g.hub.Knows([]labels.Labels{ls})[0] })
}

// add adds a token that is bound to a selector.
func (g *guarded) add(name, match string) {
	g.t.Helper()
	var err error
	if g.token[name], err = g.file.Add(access.Entry{Name: name, Scope: access.Read, Match: match}); err != nil {
		g.t.Fatal(err)
	}
	g.tokens.Poll()
}

// header returns the headers of a request by a credential.
func (g *guarded) header(credential string) http.Header {
	h := http.Header{}
	switch credential {
	case nobody:
	case wrong:
		h.Set("Authorization", "Bearer sc_wrong")
	case signedIn, removedCookie:
		h.Set("Cookie", g.cookies.Name()+"="+g.token[credential])
	case expired:
		h.Set("Cookie", g.cookies.Name()+"="+g.expired)
	default:
		h.Set("Authorization", "Bearer "+g.token[credential])
	}
	return h
}

// ask sends a request and returns the answer, read.
func (g *guarded) ask(method, path, body string, header http.Header) (*http.Response, string) {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), method, "http://"+g.address+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header = header.Clone()
	if method == "POST" && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: testkit.Patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return res, string(b)
}

// dial enters a namespace.
func (g *guarded) enter(namespace string, header http.Header, auth string) (*siotest.Client, error) {
	g.t.Helper()
	c, err := siotest.Dial(g.t.Context(), "http://"+g.address, siotest.Options{Namespace: namespace, Header: header, Auth: auth, Patience: testkit.Patience})
	if err == nil {
		g.t.Cleanup(c.Close)
	}
	return c, err
}

// auth is the JSON of a CONNECT with a token.
func auth(token string) string {
	b, _ := json.Marshal(map[string]string{"token": token}) // of text, it cannot fail
	return string(b)
}
