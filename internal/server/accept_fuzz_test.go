package server

import (
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"

	"stripchart/internal/access"
	"stripchart/internal/bus"
	"stripchart/internal/store"
)

// Whatever a stranger puts where a token may come, it is not taken for one, and nothing of it is left
// for the handlers.
func FuzzCredentials(f *testing.F) {
	editor := access.Editor{Path: filepath.Join(f.TempDir(), "tokens"), Rules: access.Rules{Selector: store.ParseSelector, Source: bus.CheckSource}}
	if _, err := editor.Add(access.Entry{Name: "phone", Scope: access.Read}); err != nil {
		f.Fatal(err)
	}
	tokens, err := access.Open(editor.Path, editor.Rules, slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	g := &gate{tokens: tokens, sessions: access.NewSessions(tokens)}
	if g.cookies, err = access.OpenCookies(tokens, f.TempDir()); err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][3]string{
		{"Bearer sc_x", "phone~1~x", "u=a&p=sc_x"}, {"Token a:b", "phone~9999999999~", "p"}, {"Basic YTpi", "~~", "p=%zz;p=1"}, {"Basic =", "phone", "P=1"}, {"Bearer", "", "p=&p=2"},
		{"", "phone~99999999999999999999~AAAA", ""}, {"Bearer  \x00", "\"phone~1~x\"", "u=%00&p=%00"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, authorization, cookie, query string) {
		r := &http.Request{Header: http.Header{}, URL: &url.URL{Path: "/write", RawQuery: query}}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		r.Header.Set("Cookie", g.cookies.Name()+"="+cookie)
		s, err := g.Accept(r)
		if s.Name != "" || s.Read || s.Write {
			t.Errorf("%q, %q, %q: the session %s, %v", authorization, cookie, query, s.Name, err)
		}
		conceal(r)
		if found, shown := tokenOf(r); shown || len(r.Cookies()) > 0 {
			t.Errorf("%q is left", found)
		}
	})
}
