package server

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"
)

const (
	// lookAgain is how often the files of a certificate are looked at, at most.
	lookAgain = time.Second
	// requestsPerConnection bounds the requests of one HTTP/2 connection that are under way at a
	// time, each of which has a goroutine. Clients wait with further ones. A page has less than ten.
	requestsPerConnection = 32
	// receiveBytes bounds what one HTTP/2 connection may send ahead of the handlers that read it.
	receiveBytes = 256 << 10
)

// Certificate is a certificate with its key, of two files in PEM. The files are read anew when they
// have changed, so that renewing them needs no restart.
//
// The files are looked at when a client connects. While they do not make a pair (one is written
// after the other, or one is damaged) the last pair that was good is used.
type Certificate struct {
	certFile, keyFile string
	now               func() time.Time

	mu     sync.Mutex // guards the fields below
	pair   *tls.Certificate
	files  [2]os.FileInfo // of pair
	looked time.Time
	fault  string // of the last look; "" if there was none
}

// LoadCertificate reads both files. Its errors name the flags.
func LoadCertificate(certFile, keyFile string) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, now: time.Now}
	c.looked = c.now()
	if err := c.read(); err != nil {
		return nil, err
	}
	return c, nil
}

// use makes h speak TLS with c: HTTP/2 and HTTP/1.1, which WebSockets take.
func (c *Certificate) use(h *http.Server, log *slog.Logger) {
	h.TLSConfig = &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(log), nil },
	}
	h.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams:          requestsPerConnection,
		MaxReceiveBufferPerConnection: receiveBytes,
		MaxReceiveBufferPerStream:     receiveBytes,
		WriteByteTimeout:              answerTimeout,
	}
}

// current returns the pair that is to be used now.
func (c *Certificate) current(log *slog.Logger) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.looked) >= lookAgain {
		c.looked = now
		c.look(log)
	}
	return c.pair
}

// look reads files that have changed, and logs the outcome: a fault once. The caller holds c.mu.
func (c *Certificate) look(log *slog.Logger) {
	if c.fault == "" && !c.changed() {
		return
	}
	before := c.pair
	err := c.read()
	switch {
	case err == nil:
		c.fault = ""
		if c.pair != before {
			log.Info("the TLS certificate has changed and is used from now on", "cert", c.certFile, "until", c.pair.Leaf.NotAfter)
		}
	case err.Error() != c.fault:
		c.fault = err.Error()
		log.Error("the TLS certificate has changed but cannot be used; the one before is still used", "err", err, "until", c.pair.Leaf.NotAfter)
	}
}

// changed reports whether a file is not the one that was read. The caller holds c.mu.
func (c *Certificate) changed() bool {
	for i, name := range [...]string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil || !os.SameFile(info, c.files[i]) || info.Size() != c.files[i].Size() || !info.ModTime().Equal(c.files[i].ModTime()) {
			return true
		}
	}
	return false
}

// read takes the pair of the files. The caller holds c.mu, or is alone with c.
func (c *Certificate) read() error {
	// First what the files are like: when they change meanwhile, the next look reads them again.
	var files [2]os.FileInfo
	for i, name := range [...]string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return fmt.Errorf("%s: %w", [...]string{"--tls-cert", "--tls-key"}[i], err)
		}
		files[i] = info
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("--tls-cert %s and --tls-key %s are no pair of a certificate and its key in PEM: %w", c.certFile, c.keyFile, err)
	}
	c.pair, c.files = &pair, files
	return nil
}
