package main

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	qr "github.com/piglig/go-qr"
)

// maxLinks bounds the links that --share prints. A machine with many containers has many addresses.
const maxLinks = 8

// shared are the links of --share, each with the token of this run; the first is the best. They are printed and
// not logged.
type shared struct {
	links []string
	onown string // the link for this machine; "" where it is among links
	local bool   // whether the only link is of loopback
}

// share returns the links to a server that listens at an address. addresses are the machine's own.
func (r *reaching) share(at net.Addr, public *url.URL, token string, addresses []netip.Addr) (s shared) {
	link := func(base string) string { return base + "#token=" + token }
	listening, err := netip.ParseAddrPort(at.String())
	if err != nil {
		return s
	}
	page := func(a netip.Addr) string {
		return link(r.scheme() + "://" + netip.AddrPortFrom(a.WithZone(""), listening.Port()).String() + "/")
	}
	a := listening.Addr()
	if public == nil && !a.IsUnspecified() {
		s.links, s.local = []string{page(a)}, a.IsLoopback()
		return s
	}
	if a.IsUnspecified() {
		a = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	s.onown = page(a)
	if public != nil { // its name alone is let in, beside those of loopback
		s.links = []string{link(public.String())}
		return s
	}
	for _, other := range others(addresses) {
		if other.Is4() || listening.Addr().Is6() {
			s.links = append(s.links, page(other))
		}
	}
	s.links = s.links[:min(len(s.links), maxLinks)]
	return s
}

// ownAddresses returns the addresses of this machine.
func ownAddresses() (own []netip.Addr) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil // then the links for this machine are there
	}
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, prefix.Addr().Unmap())
		}
	}
	return own
}

// others returns the addresses by which other machines reach this one, those of home and office networks first.
func others(addresses []netip.Addr) []netip.Addr {
	rank := func(a netip.Addr) int {
		switch {
		case a.Is4() && a.IsPrivate():
			return 0
		case a.Is4():
			return 1
		}
		return 2
	}
	reachable := slices.DeleteFunc(slices.Clone(addresses), func(a netip.Addr) bool { return !a.IsGlobalUnicast() })
	slices.SortStableFunc(reachable, func(a, b netip.Addr) int { return cmp.Compare(rank(a), rank(b)) })
	return reachable
}

// print writes the links, and on a terminal a QR code of the first.
func (s *shared) print(to io.Writer) {
	if len(s.links) == 0 {
		fmt.Fprintf(to, "This machine has no address that others reach. On this machine:\n\n  %s\n\n", s.onown)
		return
	}
	if s.local {
		fmt.Fprintf(to, "Only this machine can open this link; for others, listen on an address that they reach (--listen :PORT):\n\n  %s\n", s.links[0])
	} else {
		fmt.Fprintf(to, "Whoever has one of these links can look, for as long as this runs:\n\n  %s\n", strings.Join(s.links, "\n  "))
	}
	if s.onown != "" {
		fmt.Fprintf(to, "\nOn this machine:\n\n  %s\n", s.onown)
	}
	fmt.Fprint(to, "\nThe link is to look. To write, a program needs a token: add --token-file FILE here, and make one by\n"+
		"stripchart token add NAME --scope write --token-file FILE\n\n")
	if f, is := to.(*os.File); is && isTerminal(f) {
		fmt.Fprintln(to, code(s.links[0]))
	}
}

// quiet is the margin of a QR code, in modules.
const quiet = 4

// code returns a QR code for a terminal, "" if the text is too long for one. A character is two modules, one above the
// other. The colours are set, so that it is dark on light on any terminal.
func code(text string) string {
	c, err := qr.EncodeText(text, qr.Low)
	if err != nil {
		return ""
	}
	isDark := func(x, y int) bool {
		return 0 <= x && x < c.Size() && 0 <= y && y < c.Size() && c.Module(x, y)
	}
	var out strings.Builder
	for y := -quiet; y < c.Size()+quiet; y += 2 {
		out.WriteString("\x1b[30;107m")
		for x := -quiet; x < c.Size()+quiet; x++ {
			switch above, below := isDark(x, y), isDark(x, y+1); {
			case above && below:
				out.WriteRune('█')
			case above:
				out.WriteRune('▀')
			case below:
				out.WriteRune('▄')
			default:
				out.WriteByte(' ')
			}
		}
		out.WriteString("\x1b[0m\n")
	}
	return out.String()
}
