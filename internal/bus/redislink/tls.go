package redislink

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

// errNoTLS means that the other end accepts connections, and does not answer the TLS handshake.
var errNoTLS = errors.New("no answer to the TLS handshake")

// dialer returns the function that makes connections, and removes the TLS options from
// u. It replaces the client library's dialer for two reasons: that one does not end a TLS
// handshake with its context, and it compares the certificates of all cluster nodes and
// masters with the host in the URL. Here each certificate must name the dialled address.
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
			addr = net.JoinHostPort(named, port) // the only node of a cluster does not know its own address
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

// tlsConfig reads tls_ca_cert_file, tls_cert_file and tls_key_file, which are named like
// Redis's own directives, and skip_verify, which the client library has too, but not for
// clusters.
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
		// Read again for each connection: certificates are renewed while the program runs.
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
