package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"stripchart/internal/bus/httpbus"
	"stripchart/internal/bus/rw"
)

// calling are the flags of what talks to a server over HTTP.
type calling struct {
	Token  string `help:"Token for the server: @FILE, which is read for each request, or the token itself. Set it in the environment, for every user of this machine can see the command line." placeholder:"@FILE"`
	CAFile string `name:"ca-file" help:"Certificates, in PEM, of the only authorities to trust for https://. Default: those that the system trusts." placeholder:"FILE"`
}

// tokenInSight is the warning for a token on the command line.
const tokenInSight = "warning: every user of this machine can see a token on the command line; give --token @FILE, or set STRIPCHART_TOKEN"

// check refuses flags that do not fit the address of the server.
func (c *calling) check(address string) error {
	if err := httpbus.CheckURL(address); err != nil {
		return err
	}
	u, err := url.Parse(address)
	if err != nil {
		return errors.New("not a URL")
	}
	switch {
	case c.Token != "" && u.User != nil:
		return errors.New("give either a token or a user in the URL")
	}
	if !c.isFile() && c.Token != "" {
		_, err = checkToken(c.Token)
	}
	return err
}

func (c *calling) isFile() bool { return strings.HasPrefix(c.Token, "@") }

// token returns the token, of its file if that is what was given; "" for none.
func (c *calling) token() (string, error) {
	if !c.isFile() {
		return c.Token, nil
	}
	text, err := os.ReadFile(kong.ExpandPath(c.Token[1:]))
	if err != nil {
		return "", fmt.Errorf("--token: %w", err)
	}
	return checkToken(strings.TrimSpace(string(text)))
}

// checkToken returns the token if it can be one. Its error does not repeat it.
func checkToken(token string) (string, error) {
	isGraphic := func(r rune) bool { return r > ' ' && r < 0x7f }
	if token == "" || strings.TrimFunc(token, isGraphic) != "" {
		return "", errors.New("--token: what it gives is no token; a token is one word that begins with sc_")
	}
	return token, nil
}

// tls returns what https:// trusts; nil: what the system does.
func (c *calling) tls() (*tls.Config, error) {
	if c.CAFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(kong.ExpandPath(c.CAFile))
	if err != nil {
		return nil, fmt.Errorf("--ca-file: %w", err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--ca-file: %s has no certificate in PEM form", c.CAFile)
	}
	return config, nil
}

// publisher returns the options of what writes to the server.
func (c *calling) publisher(address string) (httpbus.Options, error) {
	config, err := c.tls()
	if err == nil {
		_, err = c.token() // a missing file is an error at the start
	}
	return httpbus.Options{URL: address, Encode: rw.Encode, UserAgent: "stripchart/" + version, TLS: config, Token: c.token}, err
}

// reader returns a client for what reads from the server.
func (c *calling) reader() (*http.Client, error) {
	config, err := c.tls()
	return &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, ResponseHeaderTimeout: silence, DisableKeepAlives: true,
	}}, err
}
