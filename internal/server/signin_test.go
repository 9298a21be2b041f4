package server

import (
	"crypto/tls"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// basic is the header of a user and a password.
func basic(user, password string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

func TestATokenIsTakenFromEachPlaceWhereClientsPutIt(t *testing.T) {
	g := newGuarded(t, false)
	token := g.token[writer]
	inQuery := "?u=agent&p=" + url.QueryEscape(token) + "&db=x"
	for _, c := range []struct {
		name, path, authorization string
		status                    int
	}{
		{"Bearer", "/write", "Bearer " + token, 204},
		{"bearer", "/write", "bearer  " + token, 204},
		{"Token", "/write", "Token " + token, 204},
		{"Token with a user", "/write", "Token agent:" + token, 204},
		{"Basic", "/write", basic("agent", token), 204},
		{"Basic without a user", "/write", basic("", token), 204},
		{"Basic, token as user", "/write", basic(token, ""), 401},
		{"Basic, broken", "/write", "Basic x", 401},
		{"another kind", "/write", "Digest " + token, 401},
		{"no kind", "/write", token, 401},
		{"the query of /write", "/write" + inQuery, "", 204},
		{"a wrong header hides the query", "/write" + inQuery, "Bearer x", 401},
		{"the query of another path", "/api/v2/write" + inQuery, "", 401},
		{"the query of a push", "/api/v1/push/m" + inQuery, "", 401},
		{"another name in the query", "/write?token=" + url.QueryEscape(token), "", 401},
		{"an empty password", "/write?u=agent&p=", "", 401},
	} {
		h := http.Header{}
		if c.authorization != "" {
			h.Set("Authorization", c.authorization)
		}
		if res, body := g.ask("POST", c.path, "m value=1", h); res.StatusCode != c.status {
			t.Errorf("%s: %d %s", c.name, res.StatusCode, body)
		} else if strings.Contains(body, token) {
			t.Errorf("%s: the answer has the token", c.name)
		}
	}
	both := http.Header{"Authorization": {"Bearer " + token, "Bearer " + token}}
	if res, _ := g.ask("POST", "/write", "m value=1", both); res.StatusCode != 401 {
		t.Errorf("two headers: %d", res.StatusCode)
	}
	g.noSecretWasTold()
}

// Agents log what they are answered, and some look for its form.
func TestARefusalHasTheFormOfItsRoute(t *testing.T) {
	g := newGuarded(t, false)
	for _, c := range []struct{ path, kind, want string }{
		{"/write", "", `{"error":"this server asks for a token`},
		{"/query", "", `{"error":"this server asks for a token`},
		{"/api/v2/write", "", `{"code":"unauthorized","message":"this server asks for a token`},
		{"/api/v1/otlp/v1/metrics", "application/json", `{"code":16,"message":"token_required: this server asks`},
		{"/v1/metrics", "application/x-protobuf", "\x08\x10\x12"},
		{"/api/v1/push/m", "", `{"error":{"code":"token_required","message":"this server asks`},
		{"/api/v1/write", "", `{"error":{"code":"token_required","message":"this server asks`},
		{"/api/v1/query", "", `{"status":"error","errorType":"token_required","error":"this server asks`},
	} {
		h := http.Header{}
		if c.kind != "" {
			h.Set("Content-Type", c.kind)
		}
		res, body := g.ask("POST", c.path, "m value=1", h)
		if res.StatusCode != 401 || !strings.HasPrefix(body, c.want) || res.Header.Get("WWW-Authenticate") != `Bearer realm="stripchart"` {
			t.Errorf("%s: %d %q, %v", c.path, res.StatusCode, body, res.Header)
		}
		if influx := res.Header.Get("X-Influxdb-Error"); (influx != "") != (c.path == "/write" || c.path == "/query") {
			t.Errorf("%s: X-Influxdb-Error: %s", c.path, influx)
		}
	}
	res, body := g.ask("POST", "/api/v1/write", "", g.header(reader))
	if res.StatusCode != 403 || !strings.Contains(body, "the token reader lacks the scope write") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

// browser signs in, with a jar for its cookies.
func (g *guarded) browser() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		g.t.Fatal(err)
	}
	return &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (g *guarded) signIn(c *http.Client, token, next, accept string) (*http.Response, string) {
	g.t.Helper()
	form := url.Values{"token": {token}, "next": {next}}
	r, err := http.NewRequestWithContext(g.t.Context(), "POST", "http://"+g.address+"/signin", strings.NewReader(form.Encode()))
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", accept)
	res, err := c.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	return res, body(g.t, res)
}

const forPage, forScript = "text/html,*/*;q=0.8", "*/*"

func TestABrowserSignsInAndLooksByItsCookie(t *testing.T) {
	g := newGuarded(t, false)
	c := g.browser()
	res, _ := g.signIn(c, " "+g.token[boundReader]+"\n", "/?v=1&window=15m", forPage)
	if res.StatusCode != 303 || res.Header.Get("Location") != "/?v=1&window=15m" {
		t.Errorf("%d to %s", res.StatusCode, res.Header.Get("Location"))
	}
	cookie := res.Header.Get("Set-Cookie")
	if !strings.HasPrefix(cookie, g.cookies.Name()+"=") || !strings.HasSuffix(cookie, "; Max-Age=2592000; HttpOnly; SameSite=Strict") || strings.Contains(cookie, g.token[boundReader]) {
		t.Errorf("Set-Cookie: %s", cookie)
	}
	res, err := c.Get("http://" + g.address + "/api/v1/label/room/values")
	if err != nil {
		t.Fatal(err)
	}
	if b := body(t, res); res.StatusCode != 200 || !strings.Contains(b, `["lab"]`) {
		t.Errorf("by the cookie: %d %s", res.StatusCode, b)
	}
	header := http.Header{"Cookie": {strings.SplitN(cookie, ";", 2)[0]}}
	if _, err := g.enter("/live", header, ""); err != nil {
		t.Errorf("a socket by the cookie: %v", err)
	}
	g.noSecretWasTold()
}

func TestACookieIsSecureWhereThePageIs(t *testing.T) {
	g := newGuarded(t, false)
	public, err := ParsePublicURL("https://lab.example/sub/")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, public, forwarded, origin string
		tls, secure                     bool
	}{
		{"on loopback", "", "", "", false, false},
		{"a proxy says https", "", "https", "", false, true},
		{"the page says https", "", "", "https://lab.example", false, true},
		{"the public URL says https", "https", "", "", false, true},
		{"the page says so too", "https", "", "https://lab.example", false, true},
		{"a page on loopback beside a public URL", "https", "", "http://127.0.0.1", false, false},
		{"TLS", "", "", "", true, true},
		{"TLS, and a forged header", "", "http", "", true, true},
	} {
		g.Server.o.Reach, g.Server.o.AnyHost = Reach{}, true
		if c.public != "" {
			g.Server.o.Reach.Public = public
		}
		r := httptest.NewRequest("POST", "/signin", strings.NewReader("token="+g.token[reader]))
		r.Host = "lab.example"
		if strings.Contains(c.origin, "127.0.0.1") {
			r.Host = "127.0.0.1"
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for name, value := range map[string]string{"X-Forwarded-Proto": c.forwarded, "Origin": c.origin} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		if c.tls {
			r.TLS = &tls.ConnectionState{}
		}
		w := httptest.NewRecorder()
		g.Server.http.Handler.ServeHTTP(w, r)
		if secure := strings.Contains(w.Header().Get("Set-Cookie"), "; Secure"); w.Code != 204 || secure != c.secure {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Header().Get("Set-Cookie"))
		}
	}
}

// A page that is let in has a token of its own. It must not set the browser's cookie for ours.
func TestAPageThatLivesElsewhereDoesNotSignIn(t *testing.T) {
	g := newGuarded(t, false)
	g.Server.o.Reach.Origins = []string{site}
	h := http.Header{"Origin": {site}, "Accept": {forScript}}
	res, says := g.ask("POST", "/signin", "token="+g.token[reader], h)
	if res.StatusCode != 403 || res.Header.Get("Set-Cookie") != "" || res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%d %s", res.StatusCode, says)
	}
}

func TestASignInThatFailsSaysWhatToDo(t *testing.T) {
	g := newGuarded(t, false)
	c := g.browser()
	for _, token := range []string{"", "sc_wrong", g.token[removed]} {
		res, page := g.signIn(c, token, "/?q=a", forPage)
		if res.StatusCode != 401 || !strings.Contains(page, "this token is not valid") || !strings.Contains(page, `value="/?q=a"`) || res.Header.Get("Set-Cookie") != "" {
			t.Errorf("%q: %d %s", token, res.StatusCode, page)
		}
	}
	res, says := g.signIn(c, "sc_wrong", "", forScript)
	if res.StatusCode != 401 || !strings.HasPrefix(says, `{"error":{"code":"token_invalid"`) {
		t.Errorf("%d %s", res.StatusCode, says)
	}
	// A cookie must never be able to write: a page of another site could use it.
	res, says = g.signIn(c, g.token[writer], "", forScript)
	if res.StatusCode != 403 || !strings.Contains(says, codeScope) || res.Header.Get("Set-Cookie") != "" {
		t.Errorf("a write token: %d %s", res.StatusCode, says)
	}
	h := http.Header{"Origin": {"http://evil.example"}, "Accept": {forScript}}
	if res, _ := g.ask("POST", "/signin", "token="+g.token[reader], h); res.StatusCode != 403 {
		t.Errorf("by a page of another site: %d", res.StatusCode)
	}
	if res, _ := g.ask("POST", "/signin", "token="+strings.Repeat("x", maxSignIn), http.Header{"Accept": {forScript}}); res.StatusCode != 400 {
		t.Errorf("a long form: %d", res.StatusCode)
	}
}

func TestAfterASignInTheBrowserStaysOnThisServer(t *testing.T) {
	for next, want := range map[string]string{
		"/": "/", "/?v=1&q=a%20b": "/?v=1&q=a%20b", "/sub/plotly": "/sub/plotly",
		"": "./", "http://evil.example/": "./", "//evil.example": "./", "/\\evil.example": "./", "\\\\evil.example": "./",
		"javascript:alert(1)": "./", "/\tevil": "./", "/x\r\nSet-Cookie: a=b": "./", "evil": "./", " /": "./", "/%zz": "./",
	} {
		if got := localPath(next); got != want {
			t.Errorf("%q leads to %q", next, got)
		}
	}
}

func TestManyFailedSignInsHaveToWaitAndOthersNot(t *testing.T) {
	g := newGuarded(t, false)
	c := g.browser()
	refused, waited := 0, time.Duration(0)
	for range 30 {
		if res, _ := g.signIn(c, "sc_wrong", "", forScript); res.StatusCode == 429 {
			refused++
			seconds, err := time.ParseDuration(res.Header.Get("Retry-After") + "s")
			if err != nil {
				t.Fatal(err)
			}
			waited = max(waited, seconds)
		}
	}
	if refused == 0 || waited <= 0 || waited > time.Minute {
		t.Errorf("%d attempts were refused, for up to %v", refused, waited)
	}
	// Behind a proxy the stranger has the address of everybody.
	if res, says := g.signIn(c, g.token[reader], "", forScript); res.StatusCode != 204 {
		t.Errorf("a right token: %d %s", res.StatusCode, says)
	}
	// Whoever has signed in is not concerned.
	if res, _ := g.ask("GET", "/api/v1/labels", "", g.header(signedIn)); res.StatusCode != 200 {
		t.Errorf("by a cookie: %d", res.StatusCode)
	}
}

func TestAProxyThatIsNotKnownIsNamedOnceInTheLog(t *testing.T) {
	g := newGuarded(t, false)
	for range 3 {
		g.ask("POST", "/signin", "token=sc_wrong", http.Header{"X-Forwarded-For": {"192.0.2.1"}, "Accept": {forScript}})
	}
	if n := strings.Count(g.log.String(), "--trusted-proxy"); n != 1 {
		t.Errorf("%d times:\n%s", n, g.log.String())
	}
}

func TestTheSignInPageLoadsNothingAndRunsNoScript(t *testing.T) {
	g := newGuarded(t, false)
	res, page := g.ask("GET", "/signin?next=%22%3E%3Cscript%3E", "", http.Header{})
	policy := res.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || !strings.Contains(policy, "form-action 'self'") || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("policy: %s", policy)
	}
	if strings.Contains(page, "<script") || strings.Contains(page, "__") || !strings.Contains(page, `<form method="post" action="signin">`) {
		t.Errorf("page:\n%s", page)
	}
	if res.Header.Get("Cache-Control") != "no-store" {
		t.Error("the page may be cached")
	}
}

func TestWithoutTokensThereIsNoSignInAndEverybodyMayDoEverything(t *testing.T) {
	s := newServer(t, false)
	for path, status := range map[string]int{"/signin": 404, "/metrics": 200, "/write": 405} {
		r := ask(s, "GET", path, map[string]string{"Authorization": "Bearer x"})
		if r.StatusCode != status {
			t.Errorf("%s: %d", path, r.StatusCode)
		}
		if r.Header.Get("WWW-Authenticate") != "" {
			t.Errorf("%s asks for a token", path)
		}
	}
}
