package httpbus

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stripchart/internal/bus"
)

// DefaultTimeout is longer than a server waits for its own bus (10 s). A shorter timeout
// would give up on batches that the server still publishes.
const DefaultTimeout = 15 * time.Second

// Options of New.
type Options struct {
	// URL is http(s)://[user:password@]host[:port][/path/], the address of the page.
	URL string
	// Encode returns b as Remote-Write 2.0, compressed with snappy. It is required.
	Encode func(b *bus.Batch) []byte
	// TLS is for https; nil trusts the CAs that the system trusts.
	TLS *tls.Config
	// Timeout bounds one request, from connecting to the end of the response. 0 means
	// DefaultTimeout.
	Timeout time.Duration
	// Token returns the token for the server, which goes into a header; "": none. It is asked for
	// each request, so that a token can be replaced. nil: there is none.
	Token func() (string, error)
	// UserAgent names the program, "stripchart/1.2.0". Remote-Write requires it.
	UserAgent string
	// Registerer takes the publisher's metrics; nil: none.
	Registerer prometheus.Registerer
}

// Publisher publishes batches to one server.
type Publisher struct {
	o              Options
	url            string // of the write endpoint, without user and password
	user, password string
	client         *http.Client
	seconds        *prometheus.HistogramVec // by status code

	closing context.Context // ends with Close
	close   context.CancelFunc

	mu        sync.Mutex     // guards what follows
	notBefore time.Time      // the server asked for no request before
	calls     sync.WaitGroup // Publish under way; Add under mu
}

// New returns a Publisher. It does not connect: the server may be away, and each Publish
// tries it anew.
func New(o Options) (*Publisher, error) {
	u, err := parse(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	p := &Publisher{o: o, user: u.User.Username()}
	p.password, _ = u.User.Password()
	u.User = nil
	p.url = u.String()
	// HTTP/1.1 only: there a request that times out closes its connection, and the next
	// one dials. HTTP/2 would keep using a connection over a cut network until TCP gives it
	// up, many minutes later.
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	p.client = &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSClientConfig:     o.TLS,
			TLSHandshakeTimeout: 5 * time.Second,
			MaxIdleConnsPerHost: 1,
			IdleConnTimeout:     90 * time.Second, // below the server's, so that it rarely closes under a request
			Protocols:           &protocols,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	p.seconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "stripchart_push_seconds", Help: "Time that a batch took to the server and its answer back, by status code; none when there was no answer.",
		Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
	}, []string{"code"})
	if o.Registerer != nil {
		if err := o.Registerer.Register(p.seconds); err != nil {
			return nil, err
		}
	}
	p.closing, p.close = context.WithCancel(context.Background())
	return p, nil
}

// CheckURL returns what is wrong with s as Options.URL. Its errors do not repeat s, which
// may contain a password.
func CheckURL(s string) error {
	_, err := parse(s)
	return err
}

// parse returns the URL of the write endpoint below s. Its errors do not repeat s, which
// may contain a password, and do not wrap those of url.Parse, which repeat it.
func parse(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, errors.New("not the URL of a server: want http(s)://host[:port][/path/]")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("the URL of a server has no ? and no #: want http(s)://host[:port][/path/]")
	case strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), WritePath):
		return nil, errors.New("give the server's URL without " + WritePath + ", which is added")
	}
	return u.JoinPath(WritePath), nil
}

// Publish sends b and waits for the server's response. Its promise and its errors are those
// of bus.Bus, and ErrWrongAddress.
func (p *Publisher) Publish(ctx context.Context, b *bus.Batch) error {
	notBefore, err := p.enter()
	if err != nil {
		return err
	}
	defer p.calls.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.closing, cancel)()

	if err = sleepUntil(ctx, notBefore); err == nil {
		err = p.send(ctx, b)
	}
	if err != nil && p.closing.Err() != nil {
		return bus.ErrClosed
	}
	return err
}

// enter counts the caller in p.calls, unless p is closed.
func (p *Publisher) enter() (notBefore time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing.Err() != nil {
		return notBefore, bus.ErrClosed
	}
	p.calls.Add(1)
	return p.notBefore, nil
}

func (p *Publisher) send(ctx context.Context, b *bus.Batch) error {
	ctx, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(p.o.Encode(b)))
	if err != nil {
		return err
	}
	if err := WriteSequence(r.Header, b.Sequence); err != nil {
		return fmt.Errorf("%w: %w", bus.ErrRefused, err)
	}
	r.Header.Set("Content-Type", ContentType)
	r.Header.Set("Content-Encoding", ContentEncoding)
	r.Header.Set("X-Prometheus-Remote-Write-Version", "2.0.0")
	r.Header.Set("User-Agent", p.o.UserAgent)
	if p.user != "" || p.password != "" {
		r.SetBasicAuth(p.user, p.password)
	}
	if p.o.Token != nil {
		token, err := p.o.Token()
		if err != nil {
			return err
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
	}
	began := time.Now()
	response, err := p.client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	pause, err := judge(response)
	p.seconds.WithLabelValues(strconv.Itoa(response.StatusCode)).Observe(time.Since(began).Seconds())
	if pause > 0 {
		p.mu.Lock()
		p.notBefore = time.Now().Add(pause)
		p.mu.Unlock()
	}
	return err
}

// Close ends every Publish with bus.ErrClosed and waits for them. Calls after
// the first return nil.
func (p *Publisher) Close() error {
	p.mu.Lock()
	p.close()
	p.mu.Unlock()
	p.calls.Wait()
	p.client.CloseIdleConnections()
	return nil
}

func sleepUntil(ctx context.Context, t time.Time) error {
	d := time.Until(t)
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
