package server

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"stripchart/internal/socketio/siotest"
)

// kind is what a route answers to each credential, without and with --public-read. 0 is the answer
// that the route gives to those that it lets in.
type kind struct{ tokens, public map[string]int }

// answers makes a column of a table, in the order of credentials.
func answers(statuses ...int) map[string]int {
	m := map[string]int{}
	for i, c := range credentials {
		m[c] = statuses[i]
	}
	return m
}

var (
	//                nobody wrong reader bound writer bound signed expired removed removed
	//                                   reader       writer   in   cookie   token  cookie
	open = kind{
		answers(0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
		answers(0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
	}
	token = kind{
		answers(401, 401, 0, 0, 0, 0, 0, 401, 401, 401),
		answers(0, 401, 0, 0, 0, 0, 0, 0, 401, 0),
	}
	looking = kind{
		answers(401, 401, 0, 0, 403, 403, 0, 401, 401, 401),
		answers(0, 401, 0, 0, 0, 0, 0, 0, 401, 0),
	}
	lookingAtAll = kind{
		answers(401, 401, 0, 403, 403, 403, 0, 401, 401, 401),
		answers(0, 401, 0, 403, 0, 0, 0, 0, 401, 0),
	}
	writing = kind{
		answers(401, 401, 403, 403, 0, 0, 403, 401, 401, 401),
		answers(401, 401, 403, 403, 0, 0, 403, 401, 401, 401),
	}
	connecting = kind{ // the token may still come with the CONNECT
		answers(0, 401, 0, 0, 403, 403, 0, 0, 401, 0),
		answers(0, 401, 0, 0, 0, 0, 0, 0, 401, 0),
	}
)

// table has, for each route of the server, a request, its answer to those that are let in, and whom
// the route lets in.
var table = map[string]struct {
	method, path, body string
	status             int
	kind               kind
}{
	"/":                           {"GET", "/", "", 0, open}, // 200, or 503 without a built page
	"/signin":                     {"GET", "/signin", "", 200, open},
	"/healthz":                    {"GET", "/healthz", "", 200, open},
	"/readyz":                     {"GET", "/readyz", "", 200, open},
	"/ping":                       {"GET", "/ping", "", 204, open},
	"/health":                     {"GET", "/health", "", 200, open},
	"/socket.io/":                 {"GET", "/socket.io/socket.io.js", "", 404, open},
	"/socket.io/{$}":              {"GET", "/socket.io/?EIO=4&transport=polling", "", 200, connecting},
	"/metrics":                    {"GET", "/metrics", "", 200, lookingAtAll},
	"/query":                      {"POST", "/query", "q=CREATE+DATABASE+x", 200, token},
	"/write":                      {"POST", "/write", "m value=1", 204, writing},
	"/api/v2/write":               {"POST", "/api/v2/write", "m value=1", 204, writing},
	"/api/v1/push/":               {"POST", "/api/v1/push/m", "1", 200, writing},
	"/api/v1/write":               {"POST", "/api/v1/write", "", 415, writing},
	"/api/v1/otlp/v1/metrics":     {"POST", "/api/v1/otlp/v1/metrics", "", 415, writing},
	"/v1/metrics":                 {"POST", "/v1/metrics", "", 415, writing},
	"/api/v1/query":               {"GET", "/api/v1/query?query=1", "", 200, looking},
	"/api/v1/query_range":         {"POST", "/api/v1/query_range", "query=1&start=1&end=2&step=1", 200, looking},
	"/api/v1/series":              {"GET", "/api/v1/series?match[]=m", "", 200, looking},
	"/api/v1/labels":              {"GET", "/api/v1/labels", "", 200, looking},
	"/api/v1/label/{name}/values": {"GET", "/api/v1/label/room/values", "", 200, looking},
	"/api/v1/metadata":            {"GET", "/api/v1/metadata", "", 200, looking},
	"/api/v1/format_query":        {"GET", "/api/v1/format_query?query=1", "", 200, looking},
	"/api/v1/parse_query":         {"GET", "/api/v1/parse_query?query=1", "", 200, looking},
	"/api/v1/query_exemplars":     {"GET", "/api/v1/query_exemplars", "", 200, looking},
	"/api/v1/rules":               {"GET", "/api/v1/rules", "", 200, looking},
	"/api/v1/alerts":              {"GET", "/api/v1/alerts", "", 200, looking},
	"/api/v1/status/buildinfo":    {"GET", "/api/v1/status/buildinfo", "", 200, looking},
	"/api/v1/export":              {"GET", "/api/v1/export?match[]=m", "", 200, looking},
}

// modes are how a server with tokens may be started.
var modes = map[string]bool{"by token alone": false, "public read": true}

func TestEveryRouteLetsInWhomItsRowOfTheTableNames(t *testing.T) {
	for mode, public := range modes {
		t.Run(mode, func(t *testing.T) {
			g := newGuarded(t, public)
			var patterns []string
			for _, r := range g.routes {
				patterns = append(patterns, r.pattern)
				row, there := table[r.pattern]
				if !there {
					t.Errorf("the route %s has no row in the table: whom does it let in?", r.pattern)
					continue
				}
				column := row.kind.tokens
				if public {
					column = row.kind.public
				}
				for _, credential := range credentials {
					res, body := g.ask(row.method, row.path, row.body, g.header(credential))
					want := column[credential]
					switch {
					case want == 0 && row.status == 0 && (res.StatusCode == 401 || res.StatusCode == 403):
						t.Errorf("%s by %s: %d", r.pattern, credential, res.StatusCode)
					case want == 0 && row.status == 0:
					case want == 0 && res.StatusCode != row.status, want != 0 && res.StatusCode != want:
						t.Errorf("%s by %s: %d, not %d (0: %d)\n%s", r.pattern, credential, res.StatusCode, want, row.status, body)
					}
					says := res.Header.Get("WWW-Authenticate")
					if (says != "") != (want != 0) || want == 403 && !strings.Contains(says, "insufficient_scope") {
						t.Errorf("%s by %s: WWW-Authenticate: %s", r.pattern, credential, says)
					}
				}
			}
			for pattern := range table {
				if !slices.Contains(patterns, pattern) {
					t.Errorf("the table has a row for %s, which is no route", pattern)
				}
			}
			g.noSecretWasTold()
		})
	}
}

// noSecretWasTold looks for tokens and hashes in the log and in the metrics.
func (g *guarded) noSecretWasTold() {
	g.t.Helper()
	_, metrics := g.ask("GET", "/metrics", "", g.header(reader))
	for name, token := range g.token {
		for where, text := range map[string]string{"log": g.log.String(), "metrics": metrics} {
			if strings.Contains(text, token) || strings.Contains(text, strings.TrimPrefix(token, "sc_")) {
				g.t.Errorf("the %s has the token %s", where, name)
			}
		}
	}
}

// entering is what a namespace answers to each credential: "" lets it in, otherwise the code of the
// refusal, or "401", "403" where the upgrade is refused already.
func entering(codes ...string) map[string]string {
	m := map[string]string{}
	for i, c := range credentials {
		m[c] = codes[i]
	}
	return m
}

// Every namespace, and each way in which a token may come.
func TestEveryNamespaceLetsInWhomTheTableNames(t *testing.T) {
	const needs, invalid, scope = codeNoToken, codeBadToken, codeScope
	type columns struct{ header, auth map[string]string }
	//                        nobody wrong reader bound writer bound signed expired removed removed
	//                                            reader       writer in    cookie  token   cookie
	tokens := columns{
		header: entering(needs, "401", "", "", "403", "403", "", needs, "401", needs),
		auth:   entering(needs, invalid, "", "", scope, scope, invalid, invalid, invalid, invalid),
	}
	public := columns{
		header: entering("", "401", "", "", "", "", "", "", "401", ""),
		auth:   entering("", invalid, "", "", "", "", invalid, invalid, invalid, invalid),
	}
	for mode, isPublic := range modes {
		t.Run(mode, func(t *testing.T) {
			g := newGuarded(t, isPublic)
			want := tokens
			if isPublic {
				want = public
			}
			for _, namespace := range []string{"/", "/live"} {
				for _, credential := range credentials {
					c, err := g.enter(namespace, g.header(credential), "")
					if got := g.refusal(c, err); got != want.header[credential] {
						t.Errorf("%s by the headers of %s: %q, not %q (%v)", namespace, credential, got, want.header[credential], err)
					}
					g.events(namespace, credential, c)
					text := auth(g.token[credential])
					switch credential { // a cookie's value is no token
					case nobody:
						text = ""
					case wrong:
						text = `{"token":["sc_"]}`
					case expired:
						text = auth(g.expired)
					}
					c, err = g.enter(namespace, nil, text)
					if got := g.refusal(c, err); got != want.auth[credential] {
						t.Errorf("%s by the auth of %s: %q, not %q (%v)", namespace, credential, got, want.auth[credential], err)
					}
					g.events(namespace, credential, c)
				}
			}
			g.noSecretWasTold()
		})
	}
}

// refusal returns how a CONNECT was refused; "": it was not.
func (g *guarded) refusal(_ *siotest.Client, err error) string {
	if err == nil {
		return ""
	}
	if status, is := errors.AsType[ws.StatusError](err); is {
		return fmt.Sprint(int(status))
	}
	if e, is := errors.AsType[*siotest.RefusedError](err); is {
		for _, code := range []string{codeNoToken, codeBadToken, codeScope, codeBound} {
			if strings.Contains(e.JSON, `"data":{"code":"`+code+`"}`) {
				return code
			}
		}
	}
	return err.Error()
}

// events sends every event that the namespace takes, for a client that was let in: each is answered
// within what the client may see. A client that was not let in is closed when it sends one.
func (g *guarded) events(namespace, credential string, c *siotest.Client) {
	g.t.Helper()
	if c == nil {
		return
	}
	defer c.Close()
	bound := credential == boundReader
	for event, argument := range map[string]any{
		"subscribe":   map[string]any{"query": "temperature"},
		"unsubscribe": map[string]any{"room": "r-0"},
		"history":     map[string]any{"query": "temperature", "from": 0, "to": 1000},
		"catalogue":   map[string]any{"match": []string{"temperature"}},
		"unknown":     map[string]any{},
	} {
		answer, err := c.Ask(event, argument)
		switch {
		case err != nil:
			g.t.Errorf("%s %s by %s: %v", namespace, event, credential, err)
		case (namespace == "/" || event == "unknown") != strings.Contains(string(answer), `"unknown_event"`):
			g.t.Errorf("%s %s by %s: %s", namespace, event, credential, answer)
		case bound && strings.Contains(string(answer), "vault"):
			g.t.Errorf("%s %s by %s tells of another room: %s", namespace, event, credential, answer)
		case namespace == "/live" && event == "catalogue" && !bound && !strings.Contains(string(answer), "vault"):
			g.t.Errorf("%s %s by %s: %s", namespace, event, credential, answer)
		}
	}
}

// A client that was refused by a namespace has no part in it: events it sends all the same end its
// connection, unanswered.
func TestAClientThatWasRefusedCannotSendEvents(t *testing.T) {
	g := newGuarded(t, false)
	for _, namespace := range []string{"/", "/live"} {
		c, err := siotest.Open(t.Context(), "http://"+g.address, siotest.Options{Namespace: namespace})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		prefix := strings.TrimPrefix(namespace+",", "/,")
		for _, text := range []string{"40" + prefix, "42" + prefix + `1["catalogue",{}]`} {
			if err := c.Send(text); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for {
			b, err := c.Text()
			if err != nil {
				break
			}
			got = append(got, string(b))
		}
		if len(got) != 2 || !strings.HasPrefix(got[1], "44"+prefix) || !strings.Contains(got[1], codeNoToken) {
			t.Errorf("%s: %q", namespace, got)
		}
	}
}

func TestNoCacheKeepsWhatATokenAllows(t *testing.T) {
	for _, public := range []bool{false, true} {
		g := newGuarded(t, public)
		for _, path := range []string{"/metrics", "/api/v1/labels", "/api/v1/query?query=1", "/api/v1/export?match[]=temperature", "/socket.io/?EIO=4&transport=polling"} {
			for _, credential := range []string{nobody, reader, signedIn} {
				res, _ := g.ask("GET", path, "", g.header(credential))
				cache, vary := res.Header.Get("Cache-Control"), strings.Join(res.Header.Values("Vary"), ", ")
				if !strings.Contains(cache, "no-store") || !strings.Contains(vary, "Authorization, Cookie") {
					t.Errorf("%s by %s: Cache-Control %q, Vary %q", path, credential, cache, vary)
				}
			}
		}
	}
}
