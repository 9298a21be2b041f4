package server

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// reached returns a server with --public-url and more.
func reached(t testing.TB, public string, with func(*Options)) *Server {
	t.Helper()
	u, err := ParsePublicURL(public)
	if err != nil {
		t.Fatal(err)
	}
	return newServerWith(t, func(o *Options) {
		o.Reach.Public = u
		with(o)
	})
}

func TestThePublicAddressIsLetInAndNothingElse(t *testing.T) {
	s := reached(t, "https://lab.example:8443/sub/", ordinary)
	for _, c := range []struct {
		host, origin string
		status       int
	}{
		{"lab.example:8443", "", 200},
		{"LAB.example", "", 200}, // a proxy that loses the port
		{"lab.example.", "", 200},
		{"127.0.0.1:5000", "", 200},
		{"localhost:5000", "http://localhost:5000", 200},
		{"[::1]:5000", "http://[::1]:5000", 200},
		{"evil.example", "", 403},
		{"lab.example.evil.example", "", 403},
		{"192.0.2.7:8443", "", 403},
		// Whatever Host the proxy sends, the page's origin is known.
		{"lab.example:8443", "https://lab.example:8443", 200},
		{"lab.example", "https://lab.example:8443", 200},
		{"127.0.0.1:5000", "https://lab.example:8443", 200},
		{"127.0.0.1:5000", "http://lab.example:8443", 403},
		{"127.0.0.1:5000", "https://lab.example", 403},
		{"lab.example:8443", "https://evil.example", 403},
		{"lab.example:8443", "null", 403},
		{"lab.example:8443", "http://lab.example:8443", 403},
		{"lab.example", "http://lab.example", 403},
		{"lab.example", "https://lab.example", 403},
		{"lab.example:8443", "https://lab.example:8443/", 403},
	} {
		header := map[string]string{"Host": c.host}
		if c.origin != "" {
			header["Origin"] = c.origin
		}
		r := ask(s, "GET", "/healthz", header)
		if b := body(t, r); r.StatusCode != c.status || c.status == 403 && !strings.Contains(b, "--public-url") {
			t.Errorf("%+v: %d %s", c, r.StatusCode, b)
		}
	}
	// A browser leaves the default port out, a flag need not.
	for public, origin := range map[string]string{"https://lab.example:443/": "https://lab.example", "http://LAB.example:80": "http://lab.example", "http://[2001:db8::1]:80/": "http://[2001:db8::1]"} {
		u, err := url.Parse(origin)
		if err != nil {
			t.Fatal(err)
		}
		r := ask(reached(t, public, ordinary), "GET", "/healthz", map[string]string{"Host": u.Host, "Origin": origin})
		if r.StatusCode != 200 {
			t.Errorf("%s, page of %s: %d", public, origin, r.StatusCode)
		}
	}
}

func TestWithAPublicAddressPollingIsOfItsPagesOnly(t *testing.T) {
	s := reached(t, "https://lab.example/sub/", ordinary)
	for referer, status := range map[string]int{
		"https://lab.example/sub/": 503, "https://evil.example/sub/": 403, // the hub of these tests is never ready
	} {
		r := ask(s, "GET", "/sub/socket.io/?EIO=4&transport=polling", map[string]string{"Host": "lab.example", "Referer": referer})
		if r.StatusCode != status {
			t.Errorf("a page of %s: %d, want %d", referer, r.StatusCode, status)
		}
	}
}

// A proxy removes the base path, or it does not; programs on the machine do not know of it.
func TestBelowABasePathEveryRouteIsThereWithItAndWithout(t *testing.T) {
	s, plain := reached(t, "https://lab.example/a/sub", ordinary), newServer(t, false)
	for _, path := range []string{
		"/", "/plotly", "/healthz", "/readyz", "/metrics", "/socket.io/?EIO=4&transport=polling", "/api/v1/write", "/write", "/ping", "/nothing", "/socket.io/x",
	} {
		want := ask(plain, "GET", path, nil)
		for _, p := range []string{path, "/a/sub" + path} {
			got := ask(s, "GET", p, map[string]string{"Host": "lab.example"})
			if got.StatusCode != want.StatusCode || got.Header.Get("Content-Type") != want.Header.Get("Content-Type") {
				t.Errorf("%s: %d %s, want %d %s", p, got.StatusCode, got.Header.Get("Content-Type"), want.StatusCode, want.Header.Get("Content-Type"))
			}
		}
	}
	for _, path := range []string{"/a/sub/a/sub/healthz", "/a/subhealthz", "/a/healthz", "/sub/healthz"} {
		if r := ask(s, "GET", path, nil); r.StatusCode != 404 {
			t.Errorf("%s: %d", path, r.StatusCode)
		}
	}
	// What is judged by its path is so below the base path too.
	r := ask(s, "GET", "/a/sub/api/v1/query?query=1", map[string]string{"Sec-Fetch-Site": "cross-site"})
	if b := body(t, r); r.StatusCode != 403 || !strings.Contains(b, codeOriginRefused) {
		t.Errorf("a query by another site's page: %d %s", r.StatusCode, b)
	}
}

func TestIncompletePathsLeadBelowTheBasePath(t *testing.T) {
	s := reached(t, "https://lab.example/sub/", ordinary)
	for path, want := range map[string]string{
		"/sub":                  "/sub/",
		"/sub?window=1h":        "/sub/?window=1h",
		"/sub/socket.io?EIO=4":  "/sub/socket.io/?EIO=4",
		"/socket.io?EIO=4":      "/sub/socket.io/?EIO=4",
		"/sub//healthz":         "/sub/healthz",
		"//healthz":             "/sub/healthz",
		"/sub/x/../healthz?a=b": "/sub/healthz?a=b",
		"//evil.example/..//":   "/sub/",
		"/sub//evil.example/":   "/sub/evil.example/",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		u, err := url.ParseRequestURI(path)
		if err != nil {
			t.Fatal(err)
		}
		if u.Host != "" { // as http.Server reads a request line
			u = &url.URL{Path: strings.TrimSuffix(path, "?"+u.RawQuery), RawQuery: u.RawQuery}
		}
		r.URL, r.Host = u, "lab.example"
		w := httptest.NewRecorder()
		s.http.Handler.ServeHTTP(w, r)
		if got := w.Header().Get("Location"); w.Code != 307 || got != want {
			t.Errorf("%s: %d, to %q; want %q", path, w.Code, got, want)
		}
	}
	if r := ask(s, "GET", "/sub", map[string]string{"Host": "evil.example"}); r.StatusCode != 403 {
		t.Errorf("a foreign host: %d", r.StatusCode)
	}
}

func TestPublicURLsThatCannotBeUsedAreRefused(t *testing.T) {
	for _, s := range []string{
		"", "lab.example", "ftp://lab.example/", "https:///sub/", "https://a:b@lab.example/", "https://lab.example/?x=1", "https://lab.example/#x", "https://lab.example/?",
		"https://lab.example/a//b/", "https://lab.example/../", "https://lab.example/a/./b", "https://lab.example/ä/", "https://lab.example/a%20b/", "https://läb.example/",
		"https://lab.example/api/", "https://lab.example/socket.io", "https://lab.example/assets/x/",
	} {
		if u, err := ParsePublicURL(s); err == nil {
			t.Errorf("%q was taken as %s", s, u)
		}
	}
	for s, want := range map[string]string{
		"https://lab.example":             "https://lab.example/",
		"HTTPS://Lab.Example:443/Sub":     "https://lab.example/Sub/",
		"http://lab.example:8080/a/b.c_/": "http://lab.example:8080/a/b.c_/",
		"https://lab.example/apis/":       "https://lab.example/apis/",
	} {
		if u, err := ParsePublicURL(s); err != nil || u.String() != want {
			t.Errorf("%q: %v, %v; want %s", s, u, err, want)
		}
	}
	// Every route begins with what no base path may begin with.
	s := newServer(t, false)
	for _, part := range ownPaths {
		if _, err := ParsePublicURL("https://lab.example/" + part + "/"); err == nil {
			t.Errorf("/%s/ was taken", part)
		}
	}
	for _, r := range s.routes {
		if _, err := ParsePublicURL("https://lab.example" + strings.TrimSuffix(r.pattern, "{$}") + "/x"); err == nil && r.pattern != "/" {
			t.Errorf("%s was taken as a base path, and is a route", r.pattern)
		}
	}
}

func TestAPublicAddressHasToBeAllowed(t *testing.T) {
	for _, c := range []struct {
		url              string
		allowed, refused bool
	}{
		{"https://lab.example/", false, true}, {"https://lab.example/", true, false}, {"http://192.0.2.7/", false, true},
		{"http://localhost:8080/sub/", false, false}, {"http://127.0.0.1:8080/sub/", false, false},
	} {
		u, err := ParsePublicURL(c.url)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckPublic(u, c.allowed); (err != nil) != c.refused || err != nil && !strings.Contains(err.Error(), "--insecure") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if err := CheckPublic(nil, false); err != nil {
		t.Error(err)
	}
}

const site, other = "https://site.example", "https://other.example"

// A page that lives elsewhere reads the API, and connects by either transport.
func TestPagesOfAllowedOriginsMayConnect(t *testing.T) {
	s := newServerWith(t, func(o *Options) { o.Reach.Origins = []string{site, "http://localhost:8000"} })
	for _, c := range []struct {
		method, path, origin string
		header               map[string]string
		status               int
		allow                string
	}{
		{"GET", "/healthz", site, nil, 200, site},
		{"GET", "/healthz", "http://localhost:8000", nil, 200, "http://localhost:8000"},
		{"GET", "/api/v1/nothing", site, map[string]string{"Sec-Fetch-Site": "cross-site"}, 404, site},
		{"GET", "/socket.io/?EIO=4&transport=polling", site, nil, 503, site}, // the hub of these tests is never ready
		{"POST", "/socket.io/?EIO=4&transport=polling&sid=x", site, nil, 503, site},
		{"GET", "/socket.io/?EIO=4&transport=websocket", site, map[string]string{"Upgrade": "websocket"}, 503, site},
		{"OPTIONS", "/api/v1/query", site, map[string]string{"Access-Control-Request-Method": "POST", "Sec-Fetch-Site": "cross-site"}, 204, site},
		{"OPTIONS", "/socket.io/", site, map[string]string{"Access-Control-Request-Method": "POST"}, 204, site},
		{"OPTIONS", "/healthz", site, nil, 405, site}, // no preflight
		{"GET", "/healthz", other, nil, 403, ""},
		{"OPTIONS", "/api/v1/query", other, map[string]string{"Access-Control-Request-Method": "POST"}, 403, ""},
		{"GET", "/healthz", site + ".evil.example", nil, 403, ""},
		{"GET", "/healthz", "http://site.example", nil, 403, ""},
		{"GET", "/healthz", "null", nil, 403, ""},
		{"GET", "/healthz", "http://127.0.0.1:5000", nil, 200, ""}, // its own
		// An image of the site's has no Origin, and needs none of this.
		{"GET", "/api/v1/query?query=1", "", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403, ""},
	} {
		header := map[string]string{}
		for k, v := range c.header {
			header[k] = v
		}
		if c.origin != "" {
			header["Origin"] = c.origin
		}
		r := ask(s, c.method, c.path, header)
		if r.StatusCode != c.status || r.Header.Get("Access-Control-Allow-Origin") != c.allow {
			t.Errorf("%+v: %d, Access-Control-Allow-Origin %q", c, r.StatusCode, r.Header.Get("Access-Control-Allow-Origin"))
		}
		if c.allow != "" && !strings.Contains(strings.Join(r.Header.Values("Vary"), ","), "Origin") {
			t.Errorf("%+v: a cache may give it to pages of other origins", c)
		}
		if c.status == 204 && !strings.Contains(r.Header.Get("Access-Control-Allow-Headers"), "Authorization") {
			t.Errorf("%+v: a token cannot be sent", c)
		}
		if credentials := r.Header.Get("Access-Control-Allow-Credentials"); (credentials != "") != (c.allow != "" && strings.HasPrefix(c.path, "/socket.io/")) {
			t.Errorf("%+v: cookies are shared: %q", c, credentials)
		}
	}
}

func TestOnlyNamedOriginsMayEmbedAndOnlyWhatIsMadeForIt(t *testing.T) {
	const nobody = "frame-ancestors 'none'"
	closed := newServer(t, false)
	opened := reached(t, "https://lab.example/sub/", func(o *Options) { o.Reach.Embedders = []string{site, other} })
	for _, c := range []struct {
		s               *Server
		path, ancestors string
		options         string
	}{
		{closed, "/embed", nobody, "DENY"},
		{closed, "/", nobody, "DENY"},
		{opened, "/embed", "frame-ancestors 'self' " + site + " " + other, ""},
		{opened, "/sub/embed?x=1", "frame-ancestors 'self' " + site + " " + other, ""},
		{opened, "/", nobody, "DENY"},
		{opened, "/sub/", nobody, "DENY"},
		{opened, "/plotly", nobody, "DENY"},
		{opened, "/metrics", nobody, "DENY"},
		{opened, "/nothing", nobody, "DENY"},
	} {
		r := ask(c.s, "GET", c.path, nil)
		if got := r.Header.Get("Content-Security-Policy"); !strings.HasSuffix(got, "; "+c.ancestors) {
			t.Errorf("%s: %s", c.path, got)
		}
		if got := r.Header.Get("X-Frame-Options"); got != c.options {
			t.Errorf("%s: X-Frame-Options %q", c.path, got)
		}
	}
}

func TestOrigins(t *testing.T) {
	for s, want := range map[string]string{
		"https://site.example": "https://site.example", "https://SITE.example:443/": "https://site.example", "http://[::1]:8080": "http://[::1]:8080",
		"site.example": "", "*": "", "https://site.example/x": "", "https://a@site.example": "", "null": "", "https://site.example; script-src *": "", "https://*.example": "", "https://site.example;x": "", "https://s*te.example": "", "https://söte.example": "",
	} {
		if got, err := ParseOrigin(s); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", s, got, err, want)
		}
	}
}

// seen is what a handler behind resolve sees of a request.
func seen(t testing.TB, p Proxies, peer string, header http.Header, secure bool) (address, proto string) {
	t.Helper()
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr, r.Header = peer, header
	if secure {
		r = httptest.NewRequest("GET", "https://x/", nil)
		r.RemoteAddr, r.Header = peer, header
	}
	before := header.Clone()
	p.resolve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		address, proto = r.RemoteAddr, r.Header.Get("X-Forwarded-Proto")
		if len(p) > 0 && (r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "") {
			t.Error("what was forwarded is still there")
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
	for k := range before {
		if strings.Join(before[k], ",") != strings.Join(header[k], ",") {
			t.Errorf("the request's own %s has changed", k)
		}
	}
	return address, proto
}

func TestOnlyTrustedProxiesSayWhoseARequestIs(t *testing.T) {
	p, err := ParseProxies([]string{"10.0.0.0/8", "127.0.0.1", "2001:db8:1::/48"})
	if err != nil {
		t.Fatal(err)
	}
	const proxy, stranger = "10.1.2.3:4000", "192.0.2.9:4000"
	for name, c := range map[string]struct {
		peer           string
		header         http.Header
		secure         bool
		address, proto string
	}{
		"nothing forwarded":           {proxy, http.Header{}, false, proxy, ""},
		"a stranger forges":           {stranger, http.Header{"X-Forwarded-For": {"10.9.9.9"}, "X-Forwarded-Proto": {"https"}, "Forwarded": {"for=10.9.9.9;proto=https"}}, false, stranger, "http"},
		"a stranger over TLS":         {stranger, http.Header{"X-Forwarded-Proto": {"http"}}, true, stranger, "https"},
		"one proxy":                   {proxy, http.Header{"X-Forwarded-For": {"192.0.2.9"}, "X-Forwarded-Proto": {"https"}}, false, "192.0.2.9:0", "https"},
		"the proxy adds to a forgery": {proxy, http.Header{"X-Forwarded-For": {"198.51.100.1, 192.0.2.9"}}, false, "192.0.2.9:0", ""},
		"two proxies":                 {proxy, http.Header{"X-Forwarded-For": {"198.51.100.1, 192.0.2.9, 10.4.4.4"}}, false, "192.0.2.9:0", ""},
		"two headers":                 {proxy, http.Header{"X-Forwarded-For": {"198.51.100.1", "192.0.2.9", "10.4.4.4"}}, false, "192.0.2.9:0", ""},
		"proxies alone":               {proxy, http.Header{"X-Forwarded-For": {"10.4.4.4, 10.5.5.5"}}, false, "10.4.4.4:0", ""},
		"rubbish":                     {proxy, http.Header{"X-Forwarded-For": {"192.0.2.9, unknown"}}, false, proxy, ""},
		"rubbish before a proxy":      {proxy, http.Header{"X-Forwarded-For": {"evil, 10.4.4.4"}}, false, "10.4.4.4:0", ""},
		"with a port":                 {proxy, http.Header{"X-Forwarded-For": {"192.0.2.9:1234"}}, false, "192.0.2.9:0", ""},
		"IPv6":                        {"[2001:db8:1:2::3]:4000", http.Header{"X-Forwarded-For": {"2001:db8:9::1"}}, false, "[2001:db8:9::1]:0", ""},
		"IPv4 in IPv6":                {"[::ffff:10.1.2.3]:4000", http.Header{"X-Forwarded-For": {"192.0.2.9"}}, false, "192.0.2.9:0", ""},
		"Forwarded":                   {proxy, http.Header{"Forwarded": {`for="[2001:db8:9::1]:80";proto=https;by=10.1.2.3, for=10.4.4.4`}}, false, "[2001:db8:9::1]:0", "https"},
		"Forwarded, twice":            {proxy, http.Header{"Forwarded": {"for=198.51.100.1", `For="192.0.2.9"; Proto=http`}}, false, "192.0.2.9:0", ""},
		"Forwarded, hidden":           {proxy, http.Header{"Forwarded": {"for=_hidden;proto=https"}}, false, proxy, "https"},
		"Forwarded, quoted":           {proxy, http.Header{"Forwarded": {`for=198.51.100.1;x="a,b;for=1.2.3.4", for=192.0.2.9`}}, false, "192.0.2.9:0", ""},
		// A proxy that writes X-Forwarded-For and passes on what a client has put into Forwarded.
		"both headers": {proxy, http.Header{"X-Forwarded-For": {"192.0.2.9"}, "X-Forwarded-Proto": {"http"}, "Forwarded": {"for=192.0.2.9;proto=https"}}, false, "192.0.2.9:0", "http"},
		// The proxy writes one of them, and the other is the client's.
		"both headers, one forged": {proxy, http.Header{"X-Forwarded-For": {"192.0.2.9"}, "Forwarded": {"for=198.51.100.1"}}, false, proxy, ""},
	} {
		if address, proto := seen(t, p, c.peer, c.header, c.secure); address != c.address || proto != c.proto {
			t.Errorf("%s: %s, %q; want %s, %q", name, address, proto, c.address, c.proto)
		}
	}
	// Without the flag everything stays as it came.
	if address, proto := seen(t, nil, stranger, http.Header{"X-Forwarded-For": {"10.9.9.9"}, "X-Forwarded-Proto": {"https"}}, false); address != stranger || proto != "https" {
		t.Errorf("without a proxy: %s, %q", address, proto)
	}
	for _, s := range []string{"", "x", "10.0.0.0/33", "fe80::1%eth0", "*"} {
		if _, err := ParseProxies([]string{s}); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
}

// The origin of a page is compared with what trusted proxies say; a stranger's word makes no difference.
func TestOriginsHaveTheSchemeThatTrustedProxiesSay(t *testing.T) {
	p, err := ParseProxies([]string{"192.0.2.1"}) // whom httptest's requests come from
	if err != nil {
		t.Fatal(err)
	}
	others, err := ParseProxies([]string{"10.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		proxies       Proxies
		proto, origin string
		status        int
	}{
		{p, "https", "https://x.example", 200},
		{p, "https", "http://x.example", 403},
		{p, "", "https://x.example", 200}, // a proxy that does not say
		{others, "https", "https://x.example", 403},
		{others, "https", "http://x.example", 200},
		{others, "", "http://x.example", 200},
	} {
		s := newServerWith(t, func(o *Options) { o.AnyHost, o.Reach.Proxies = true, c.proxies })
		header := map[string]string{"Host": "x.example", "Origin": c.origin}
		if c.proto != "" {
			header["X-Forwarded-Proto"] = c.proto
		}
		if r := ask(s, "GET", "/healthz", header); r.StatusCode != c.status {
			t.Errorf("%+v: %d %s", c, r.StatusCode, body(t, r))
		}
	}
}

// A proxy's connections are of many clients; they count in total, and each client's by its own address.
func TestATrustedProxyMayTakeMorePlacesThanAnAddress(t *testing.T) {
	p, err := ParseProxies([]string{"127.0.0.9"})
	if err != nil {
		t.Fatal(err)
	}
	s := serveReal(t, newServerWith(t, func(o *Options) { o.MaxOpen, o.MaxOpenPerAddress, o.Reach.Proxies = 8, 2, p }), never)
	for range 5 {
		if r, _ := s.get(s.dial("127.0.0.9"), "/healthz"); r.StatusCode != 200 {
			t.Errorf("the proxy: %d", r.StatusCode)
		}
	}
	s.dial("127.0.0.1")
	s.dial("127.0.0.1")
	if r, _ := s.answer(s.dial("127.0.0.1")); r.StatusCode != 503 {
		t.Errorf("the third of another address: %d", r.StatusCode)
	}
	if n := s.full(fullAddress); n != 1 {
		t.Errorf("%d are counted", n)
	}
}

// A proxy may not say that it speaks TLS; the origin of the page that signs in does.
func TestAPageThatCameOverTLSIsKnownByItsOrigin(t *testing.T) {
	for _, c := range []struct {
		target, origin, proto string
		want                  bool
	}{
		{"/signin", "https://lab.example", "", true},
		{"/signin", "http://lab.example", "", false},
		{"/signin", "", "https", true},
		{"/signin", "", "", false},
		{"https://lab.example/signin", "", "", true},
	} {
		r := httptest.NewRequest("POST", c.target, nil)
		for name, value := range map[string]string{"Origin": c.origin, "X-Forwarded-Proto": c.proto} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		if got := (&Reach{}).isOverTLS(r); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
