package server

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the networks of the proxies before the server, whose headers X-Forwarded-For,
// X-Forwarded-Proto and Forwarded count.
//
// Without any, X-Forwarded-Proto alone counts, from everybody, as the scheme of the address that a browser
// asked for. It decides nothing that a stranger could want: which origin a page must have, and no page can set
// the header on a WebSocket, and whether a cookie is Secure. The address of a client is then the connection's.
type Proxies []netip.Prefix

// ParseProxies reads networks (10.0.0.0/8) and addresses.
func ParseProxies(networks []string) (p Proxies, err error) {
	for _, s := range networks {
		prefix, err := netip.ParsePrefix(s)
		if err != nil {
			address, errAddress := netip.ParseAddr(s)
			if errAddress != nil || address.Zone() != "" {
				return nil, fmt.Errorf("%q is neither a network, such as 10.0.0.0/8, nor an address", s)
			}
			address = address.Unmap()
			prefix = netip.PrefixFrom(address, address.BitLen())
		}
		p = append(p, prefix.Masked())
	}
	return p, nil
}

// trusts reports whether an address is a proxy's.
func (p Proxies) trusts(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(a) })
}

// trustsPeer reports whether the other end of a connection, host:port, is a proxy.
func (p Proxies) trustsPeer(address string) bool {
	peer, err := netip.ParseAddrPort(address)
	return err == nil && p.trusts(peer.Addr())
}

// resolve makes next see each request as the first proxy got it: its RemoteAddr is the client's address, and
// its X-Forwarded-Proto is what a proxy says, and nothing that a client does. What else was forwarded is removed.
func (p Proxies) resolve(next http.Handler) http.Handler {
	if len(p) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := new(http.Request)
		*seen = *r
		seen.Header = r.Header.Clone()
		for _, name := range [...]string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Proto"} {
			seen.Header.Del(name)
		}
		switch {
		case p.trustsPeer(r.RemoteAddr):
			if client := p.client(r.Header); client.IsValid() {
				seen.RemoteAddr = netip.AddrPortFrom(client, 0).String()
			}
			if proto := proto(r.Header); proto != "" {
				seen.Header.Set("X-Forwarded-Proto", proto)
			}
		case r.TLS != nil:
			seen.Header.Set("X-Forwarded-Proto", "https")
		default:
			seen.Header.Set("X-Forwarded-Proto", "http")
		}
		next.ServeHTTP(w, seen)
	})
}

// client returns the address of the browser or program that a proxy passes a request on for; the zero Addr if
// the proxy does not say. Proxies are passed over from the last to the first, so that what a client has put
// before the headers of a proxy does not count.
func (p Proxies) client(h http.Header) (client netip.Addr) {
	hops := forwardedFor(h)
	for i := len(hops) - 1; i >= 0; i-- {
		hop, ok := addressIn(hops[i])
		if !ok {
			break
		}
		if client = hop; !p.trusts(hop) {
			break
		}
	}
	return client
}

// proto returns the scheme that a proxy has forwarded; "" for none.
func proto(h http.Header) string {
	first, _, _ := strings.Cut(h.Get("X-Forwarded-Proto"), ",")
	if first != "" {
		return strings.TrimSpace(first)
	}
	for _, hop := range forwarded(h, "proto") {
		return hop
	}
	return ""
}

// forwardedFor returns the addresses that proxies have added, the first proxy's first. A proxy writes one of the
// headers, and may pass on the other as the client sent it. So where both come and their last addresses differ, neither
// counts.
func forwardedFor(h http.Header) (hops []string) {
	for _, line := range h.Values("X-Forwarded-For") {
		for hop := range strings.SplitSeq(line, ",") {
			hops = append(hops, strings.TrimSpace(hop))
		}
	}
	others := forwarded(h, "for")
	if len(hops) == 0 || len(others) == 0 {
		return append(hops, others...)
	}
	x, ok := addressIn(hops[len(hops)-1])
	y, _ := addressIn(others[len(others)-1])
	if !ok || x.Unmap() != y.Unmap() {
		return nil
	}
	return hops
}

// forwarded returns the values of one parameter of Forwarded (RFC 7239), in order; "" where a proxy has not set it.
func forwarded(h http.Header, name string) (values []string) {
	for _, line := range h.Values("Forwarded") {
		for _, hop := range splitQuoted(line, ',') {
			value := ""
			for _, pair := range splitQuoted(hop, ';') {
				if k, v, _ := strings.Cut(strings.TrimSpace(pair), "="); strings.EqualFold(k, name) {
					value = strings.Trim(v, `"`)
				}
			}
			values = append(values, value)
		}
	}
	return values
}

// splitQuoted splits s at separators outside of quotation marks.
func splitQuoted(s string, separator byte) (parts []string) {
	quoted, from := false, 0
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			parts = append(parts, s[from:i])
			from = i + 1
		}
	}
	return append(parts, s[from:])
}

// addressIn returns the address in a forwarded node: 192.0.2.1, 192.0.2.1:80, 2001:db8::1 or [2001:db8::1]:80.
func addressIn(node string) (netip.Addr, bool) {
	if host, _, err := net.SplitHostPort(node); err == nil {
		node = host
	}
	a, err := netip.ParseAddr(strings.Trim(node, "[]"))
	return a, err == nil
}
