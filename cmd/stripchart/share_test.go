package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	qr "github.com/piglig/go-qr"

	"stripchart/internal/testkit"
)

func TestSharedLinksAreOfTheAddressesThatOthersReach(t *testing.T) {
	own := []netip.Addr{}
	for _, a := range []string{"127.0.0.1", "::1", "fe80::1", "2001:db8::5", "203.0.113.5", "192.168.1.5", "169.254.3.4", "10.0.0.5", "fd00::5"} {
		own = append(own, netip.MustParseAddr(a))
	}
	public, err := url.Parse("https://lab.example/sub/")
	if err != nil {
		t.Fatal(err)
	}
	plain, secure := &reaching{}, &reaching{TLSCert: "x"}
	for name, c := range map[string]struct {
		flags  *reaching
		at     string
		public *url.URL
		own    []netip.Addr
		links  []string
		onown  string
	}{
		"every address":      {plain, "[::]:5000", nil, own, []string{"http://192.168.1.5:5000/", "http://10.0.0.5:5000/", "http://203.0.113.5:5000/", "http://[2001:db8::5]:5000/", "http://[fd00::5]:5000/"}, "http://127.0.0.1:5000/"},
		"IPv4":               {secure, "0.0.0.0:443", nil, own, []string{"https://192.168.1.5:443/", "https://10.0.0.5:443/", "https://203.0.113.5:443/"}, "https://127.0.0.1:443/"},
		"one address":        {plain, "10.0.0.5:5001", nil, own, []string{"http://10.0.0.5:5001/"}, ""},
		"a public URL":       {plain, "127.0.0.1:5000", public, own, []string{"https://lab.example/sub/"}, "http://127.0.0.1:5000/"},
		"no network at all":  {plain, "[::]:5000", nil, own[:3], nil, "http://127.0.0.1:5000/"},
		"very many":          {plain, "[::]:5000", nil, manyAddresses(100), links(maxLinks), "http://127.0.0.1:5000/"},
		"one IPv6 address":   {plain, "[fd00::5]:80", nil, own, []string{"http://[fd00::5]:80/"}, ""},
		"a second loopback":  {plain, "127.0.0.2:80", nil, own, []string{"http://127.0.0.2:80/"}, ""},
		"a public URL, open": {plain, "[::]:5000", public, own, []string{"https://lab.example/sub/"}, "http://127.0.0.1:5000/"},
	} {
		at := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.at))
		s := c.flags.share(at, c.public, "sc_x", c.own)
		for i := range s.links {
			s.links[i] = strings.TrimSuffix(s.links[i], "#token=sc_x")
		}
		if onown := strings.TrimSuffix(s.onown, "#token=sc_x"); !slices.Equal(s.links, c.links) || onown != c.onown {
			t.Errorf("%s: %q, %q; want %q, %q", name, s.links, onown, c.links, c.onown)
		}
	}
}

func manyAddresses(n int) (all []netip.Addr) {
	for i := range n {
		all = append(all, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
	}
	return all
}

func links(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("http://10.0.0.%d:5000/", i))
	}
	return all
}

func TestSharingSaysWhoCanOpenTheLinkAndHowToWrite(t *testing.T) {
	for at, want := range map[string]string{"10.0.0.5:5001": "Whoever has one of these links", "127.0.0.1:5001": "Only this machine", "[::1]:5001": "Only this machine"} {
		s := (&reaching{}).share(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(at)), nil, "sc_x", nil)
		var said strings.Builder
		s.print(&said)
		if got := said.String(); !strings.HasPrefix(got, want) || !strings.Contains(got, "token add NAME --scope write --token-file FILE") {
			t.Errorf("%s: %s", at, got)
		}
	}
}

// What is on the terminal, as a picture, can be read, and is the link.
func TestTheCodeOnATerminalIsTheLink(t *testing.T) {
	const link = "https://192.168.100.100:65535/#token=sc_0123456789012345678901234567890123456789012"
	lines := strings.Split(strings.TrimSpace(code(link)), "\n")
	const scale = 4
	picture := image.NewGray(image.Rect(0, 0, scale*len([]rune(plainText(lines[0]))), scale*2*len(lines)))
	for row, line := range lines {
		for column, r := range []rune(plainText(line)) {
			for half, dark := range []bool{r == '█' || r == '▀', r == '█' || r == '▄'} {
				c := color.Gray{255}
				if dark {
					c.Y = 0
				}
				for i := range scale * scale {
					picture.SetGray(scale*column+i%scale, scale*(2*row+half)+i/scale, c)
				}
			}
		}
	}
	if got, err := qr.Decode(picture); err != nil || got != link {
		t.Errorf("%q, %v", got, err)
	}
	if width := len([]rune(plainText(lines[0]))); width > 80 {
		t.Errorf("it is %d characters wide", width)
	}
	if code(strings.Repeat("x", 5000)) != "" {
		t.Error("a code of 5,000 characters")
	}
}

// plainText is a line without its colours.
func plainText(s string) string { return regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(s, "") }

func TestSharingPrintsOneTokenToLookAndLogsNone(t *testing.T) {
	p := start(t, "program", "--share", "--listen", "127.0.0.2:0", "--data-dir", t.TempDir(), "--interval", "100ms")
	var printed bytes.Buffer
	var token, page string
	for b := make([]byte, 1<<10); token == ""; {
		n, err := p.stdout.Read(b)
		printed.Write(b[:n])
		if m := regexp.MustCompile(`  (http://127\.0\.0\.2:\d+/)#token=(sc_[\w-]{43})\n`).FindStringSubmatch(printed.String()); m != nil {
			page, token = m[1], m[2]
		} else if err != nil {
			t.Fatalf("%v: %s\n%s", err, &printed, p.log)
		}
	}
	if said := printed.String(); !strings.HasPrefix(said, "Only this machine can open this link") {
		t.Errorf("the link of loopback is printed as %s", said)
	}
	if page != p.url+"/" {
		t.Errorf("the link is to %s, and it listens at %s", page, p.url)
	}
	ask := func(method, path, token string) (int, string) {
		t.Helper()
		r, err := http.NewRequest(method, p.url+path, strings.NewReader("1"))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		answer, err := (&http.Client{Timeout: testkit.Patience, Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(text)
	}
	for _, c := range []struct {
		method, path, token string
		want                int
	}{
		{"GET", "/", "", 200}, // the files of the page tell nothing
		{"GET", "/api/v1/query?query=1", "", 401},
		{"GET", "/api/v1/query?query=1", "sc_" + strings.Repeat("x", 43), 401},
		{"GET", "/api/v1/query?query=1", token, 200},
		{"GET", "/metrics", "", 401},
		{"GET", "/metrics", token, 200},
		{"POST", "/api/v1/push/x", "", 401},
		{"POST", "/api/v1/push/x", token, 403},
	} {
		if code, text := ask(c.method, c.path, c.token); code != c.want {
			t.Errorf("%+v: %d %.200s", c, code, text)
		}
	}
	p.stop()
	if log := p.log.String(); strings.Contains(log, "open this page") {
		t.Errorf("the page is told without its token:\n%s", log)
	}
	if log := p.log.String(); strings.Contains(log, token) || strings.Contains(log, "#token") {
		t.Errorf("the token is in the log:\n%s", log)
	}
}

func TestSharingAndInsecureExcludeEachOther(t *testing.T) {
	code, _, said := command(t, nil, "serve", "--share", "--insecure", "--data-dir", t.TempDir())
	if code != exitUsage || !strings.Contains(said, "choose one") {
		t.Errorf("exit code %d: %s", code, said)
	}
	for args, want := range map[string]string{"": "127.0.0.1:5000", "--share": ":5000", "--share --listen 127.0.0.2:1": "127.0.0.2:1"} {
		o, _, err := parse(append(strings.Fields(args), "--data-dir", t.TempDir()), io.Discard)
		if err != nil || o.listen() != want {
			t.Errorf("%s listens at %q, %v; want %s", args, o.listen(), err, want)
		}
	}
}
