package server

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"stripchart/internal/access"
	"stripchart/internal/bus"
	"stripchart/internal/store"
)

// What a session costs: for a request the look at the token and the registration, whatever is asked,
// and for a socket the registration, once. An update costs nothing: what sends it does not know sessions.
func BenchmarkSessions(b *testing.B) {
	for _, tokens := range []int{10, 200} {
		f := access.Editor{Path: filepath.Join(b.TempDir(), "tokens"), Rules: access.Rules{Selector: store.ParseSelector, Source: bus.CheckSource}}
		var text string
		for n := range tokens {
			var err error
			if text, err = f.Add(access.Entry{Name: fmt.Sprint("t", n), Scope: access.Read}); err != nil {
				b.Fatal(err)
			}
		}
		all, err := access.Open(f.Path, f.Rules, slog.New(slog.DiscardHandler))
		if err != nil {
			b.Fatal(err)
		}
		g := &gate{tokens: all, sessions: access.NewSessions(all)}
		if g.cookies, err = access.OpenCookies(all, b.TempDir()); err != nil {
			b.Fatal(err)
		}
		r := httptest.NewRequest("GET", "/api/v1/query", nil)
		r.Header.Set("Authorization", "Bearer "+text)
		b.Run(fmt.Sprintf("a request, %d tokens", tokens), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if s, err := g.Accept(r); err != nil || !s.Read {
					b.Fatal(err)
				}
			}
		})
		s, err := g.Accept(r)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("a registration", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				g.sessions.Hold(s, func() {})()
			}
		})
	}
}
