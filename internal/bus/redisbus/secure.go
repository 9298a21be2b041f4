package redisbus

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
)

// dialer makes one connection, within dial_timeout.
type dialer func(ctx context.Context, network, addr string) (net.Conn, error)

// errNoTLS means that the other end was reached, and does not answer a TLS greeting.
var errNoTLS = errors.New("no answer to the TLS greeting")

// dialer returns how connections are made, and takes the options that only it
// understands out of u. It is used instead of the client's own because that one
// does not end a TLS greeting with its context, and judges the certificates of
// all nodes of a cluster, and of all masters that sentinels name, by the host in
// the URL: here each node has to be the one that was called.
func (a *address) dialer(u *url.URL) (dialer, error) {
	var config *tls.Config
	if a.tls {
		var err error
		if config, err = tlsConfig(u); err != nil {
			return nil, err
		}
	}
	named := u.Hostname()
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if host, port, err := net.SplitHostPort(addr); err == nil && host == "" && network != "unix" {
			addr = net.JoinHostPort(named, port) // a cluster's only node does not know what it is called
		}
		ctx, cancel := context.WithTimeout(ctx, a.dialTimeout)
		defer cancel()
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil || config == nil {
			return c, err
		}
		own := config.Clone()
		own.ServerName, _, _ = net.SplitHostPort(addr)
		secure := tls.Client(c, own)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = c.Close()
			if ctx.Err() != nil {
				err = fmt.Errorf("%w of %s: %w", errNoTLS, addr, err)
			}
			return nil, err
		}
		return secure, nil
	}, nil
}

// tlsConfig reads tls_ca_cert_file, tls_cert_file and tls_key_file, which are named
// like Redis's own directives, and skip_verify, which the client knows too, though not for clusters.
func tlsConfig(u *url.URL) (*tls.Config, error) {
	q := u.Query()
	take := func(name string) string {
		defer q.Del(name)
		return q.Get(name)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if name := take("tls_ca_cert_file"); name != "" {
		pem, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("tls_ca_cert_file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls_ca_cert_file: %s has no certificate in PEM form", name)
		}
	}
	cert, key := take("tls_cert_file"), take("tls_key_file")
	if (cert == "") != (key == "") {
		return nil, errors.New("tls_cert_file and tls_key_file belong together")
	}
	if cert != "" {
		if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
			return nil, fmt.Errorf("tls_cert_file, tls_key_file: %w", err)
		}
		// Read for each connection: certificates are renewed while programs run.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			c, err := tls.LoadX509KeyPair(cert, key)
			return &c, err
		}
	}
	if skip := take("skip_verify"); skip != "" {
		var err error
		if config.InsecureSkipVerify, err = strconv.ParseBool(skip); err != nil {
			return nil, errors.New("skip_verify is neither true nor false")
		}
	}
	u.RawQuery = q.Encode()
	return config, nil
}
