package httpbus

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"stripchart/internal/bus"
	"stripchart/internal/httperr"
)

// ErrWrongAddress means that the URL is wrong: every batch will fail there, because the
// server at the URL has no write endpoint. The path is wrong, it redirects, the server is
// older, or it is another program. A source that can wait until somebody corrects the
// address keeps its batches, so it is no bus.ErrRefused.
var ErrWrongAddress = errors.New("the server at this address does not accept batches")

// Bounds on a server's response.
const (
	maxBody       = 8 << 10 // bytes of the body that are read
	maxMessage    = 500     // bytes of its message that go into an error
	maxRetryAfter = 30 * time.Second
)

// judge returns the outcome of Publish: nil is the acknowledgement. pause is how long the
// server asks its clients to wait before the next request.
func judge(r *http.Response) (pause time.Duration, err error) {
	e, err := httperr.Read(r.Body, maxBody, maxMessage)
	if err != nil {
		return 0, fmt.Errorf("the response %s broke off: %w", r.Status, err) // the missing part may say that the batch is in the log
	}
	said := r.Status
	if e.Message != "" {
		said += ": " + e.Message
	}
	switch r.StatusCode {
	case http.StatusOK, http.StatusNoContent:
		if r.Header.Get(HeaderSamplesWritten) == "" {
			return 0, fmt.Errorf("%w: it responded %s without the headers of Remote-Write 2.0; check the URL", ErrWrongAddress, r.Status)
		}
		return 0, nil
	case http.StatusBadRequest:
		if e.Code == CodeNotAllWritten {
			return 0, fmt.Errorf("%w: %s", bus.ErrNotAllWritten, e.Message)
		}
		return 0, fmt.Errorf("%w: %s", bus.ErrRefused, said)
	case http.StatusRequestEntityTooLarge:
		return 0, fmt.Errorf("%w: %w: %s", bus.ErrRefused, bus.ErrTooLarge, said)
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType:
		return 0, fmt.Errorf("%w: %s", ErrWrongAddress, said)
	case http.StatusInsufficientStorage:
		if e.Code == CodeNotRecorded {
			return 0, fmt.Errorf("%w (the server's)", bus.ErrNotStored)
		}
	}
	if r.StatusCode/100 == 3 {
		// The client library may turn a redirected POST into a GET, and send the password to
		// another host.
		return 0, fmt.Errorf("%w: it redirects (%s), which is not followed; give the final URL", ErrWrongAddress, r.Status)
	}
	return retryAfter(r.Header.Get("Retry-After")), fmt.Errorf("the server responded %s", said)
}

// retryAfter reads the header, seconds or a date (RFC 9110, section 10.2.3), and
// bounds it.
func retryAfter(s string) time.Duration {
	var d time.Duration
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(s); err == nil {
		d = time.Until(at)
	}
	return min(max(d, 0), maxRetryAfter)
}
