package scrape

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// accept asks for the text formats, with any characters in names.
const accept = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5," +
	"text/plain;version=0.0.4;escaping=allow-utf-8;q=0.4,*/*;q=0.1"

// answer is what a target exposes.
type answer struct {
	body        []byte
	openMetrics bool
}

// timeout is how long a target may take: an interval, but a second at least, and 10 s at most.
func (t *target) timeout() time.Duration { return min(max(t.Interval, time.Second), 10*time.Second) }

// fetch asks the target once. net/http asks for gzip by itself and decompresses the answer, so MaxBody
// bounds the decompressed bytes.
func (t *target) fetch(ctx context.Context) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL.String(), nil)
	if err != nil {
		return answer{}, errors.New("a request to the URL cannot be made")
	}
	r.Header.Set("Accept", accept)
	r.Header.Set("User-Agent", t.userAgent)
	r.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", strconv.FormatFloat(t.timeout().Seconds(), 'f', -1, 64))
	got, err := t.client.Do(r)
	if err != nil {
		return answer{}, t.explain(ctx, err)
	}
	defer got.Body.Close()
	if got.StatusCode != http.StatusOK {
		return answer{}, fmt.Errorf("it answers %d, not 200", got.StatusCode)
	}
	media, _, _ := mime.ParseMediaType(got.Header.Get("Content-Type"))
	if media == "application/vnd.google.protobuf" {
		return answer{}, errors.New("it answers in protobuf, though text was asked for")
	}
	body, err := io.ReadAll(io.LimitReader(got.Body, MaxBody+1))
	switch {
	case err != nil:
		return answer{}, t.explain(ctx, err)
	case len(body) > MaxBody:
		return answer{}, fmt.Errorf("its answer has more than %d bytes", MaxBody)
	}
	return answer{body, media == "application/openmetrics-text"}, nil
}

// explain says why the target could not be asked, without its URL, which may have a password.
func (t *target) explain(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("it did not answer within %v", t.timeout())
	}
	if u := (*url.Error)(nil); errors.As(err, &u) {
		return u.Err
	}
	return err
}
