package main

import (
	"errors"

	"github.com/alecthomas/kong"

	"stripchart/internal/server"
)

// reaching are the flags of how browsers and writers reach a server.
type reaching struct {
	TLSCert string `name:"tls-cert" help:"Certificate in PEM, with those between it and its authority: the server speaks HTTPS alone. Both files are read anew when they change." placeholder:"FILE"`
	TLSKey  string `name:"tls-key" help:"Key of --tls-cert, in PEM." placeholder:"FILE"`
}

func (r *reaching) check() error {
	if (r.TLSCert == "") != (r.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key belong together")
	}
	return nil
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
