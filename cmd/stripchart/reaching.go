package main

import (
	"errors"

	"github.com/alecthomas/kong"

	"stripchart/internal/server"
)

// reaching are the flags of how browsers and writers reach a server.
type reaching struct {
	TLSCert      string   `name:"tls-cert" help:"Certificate in PEM, with those between it and its authority: the server speaks HTTPS alone. Both files are read anew when they change." placeholder:"FILE"`
	TLSKey       string   `name:"tls-key" help:"Key of --tls-cert, in PEM." placeholder:"FILE"`
	PublicURL    string   `name:"public-url" help:"Address of the page for browsers, such as https://lab.example/stripchart/: its name and its pages are let in, and requests below its path are answered, whether a proxy removes the path or not." placeholder:"URL"`
	TrustedProxy []string `help:"Network or address of a proxy before this server, whose X-Forwarded-For, X-Forwarded-Proto and Forwarded count; may be repeated. Default: X-Forwarded-Proto counts from everybody, the others from nobody." placeholder:"CIDR"`
	AllowOrigin  []string `help:"Origin of pages that live elsewhere and may connect, such as https://site.example; may be repeated." placeholder:"ORIGIN"`
	Share        bool     `help:"Let others look for as long as this runs: it listens on every address, unless --listen names one, makes a token for this run, and prints links with it, on a terminal with a QR code."`
	AllowEmbed   []string `help:"Origin of pages that may show a chart (/embed) in a frame; may be repeated." placeholder:"ORIGIN"`
}

// reach returns what the flags say.
func (r *reaching) reach() (reach server.Reach, err error) {
	if (r.TLSCert == "") != (r.TLSKey == "") {
		return reach, errors.New("--tls-cert and --tls-key belong together")
	}
	if r.PublicURL != "" {
		if reach.Public, err = server.ParsePublicURL(r.PublicURL); err != nil {
			return reach, named("--public-url", err)
		}
	}
	if reach.Proxies, err = server.ParseProxies(r.TrustedProxy); err != nil {
		return reach, named("--trusted-proxy", err)
	}
	if reach.Origins, err = origins(r.AllowOrigin); err != nil {
		return reach, named("--allow-origin", err)
	}
	reach.Embedders, err = origins(r.AllowEmbed)
	return reach, named("--allow-embed", err)
}

func origins(of []string) (all []string, err error) {
	for _, s := range of {
		origin, err := server.ParseOrigin(s)
		if err != nil {
			return nil, err
		}
		all = append(all, origin)
	}
	return all, nil
}

// certificate returns what --tls-cert and --tls-key name; nil for none.
func (r *reaching) certificate() (*server.Certificate, error) {
	if r.TLSCert == "" {
		return nil, nil
	}
	return server.LoadCertificate(kong.ExpandPath(r.TLSCert), kong.ExpandPath(r.TLSKey))
}

// scheme returns what the server speaks.
func (r *reaching) scheme() string {
	if r.TLSCert == "" {
		return "http"
	}
	return "https"
}
