package httpbus

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"stripchart/internal/bus"
)

var (
	// ErrRefused means that the server will never take this batch as it is: a
	// source drops it. Where a part of it was written, the error is
	// bus.ErrNotAllWritten instead.
	ErrRefused = errors.New("the server refuses this batch for good")
	// ErrWrongAddress means that no batch can succeed, whatever is in it, because
	// what answers at the URL takes none: a wrong path, a redirect, an older
	// server, another program. It is an ErrRefused too. A source that can wait
	// for somebody to put the address right keeps its batches.
	ErrWrongAddress = fmt.Errorf("%w: nothing at this address takes batches", ErrRefused)
)

// Bounds on what a server may answer.
const (
	maxAnswer     = 8 << 10 // bytes that are read of a body
	maxSentence   = 500     // bytes of it that reach a log
	maxRetryAfter = 30 * time.Second
)

// judge says what r means for the batch: nil is the acknowledgement. pause is
// how long the server wants to be left alone.
func judge(r *http.Response) (pause time.Duration, err error) {
	code, sentence, err := readAnswer(r)
	if err != nil {
		return 0, fmt.Errorf("the answer %s broke off: %w", r.Status, err) // what it means for the batch stood in the rest
	}
	said := r.Status
	if sentence != "" {
		said += ": " + sentence
	}
	switch r.StatusCode {
	case http.StatusOK, http.StatusNoContent:
		if r.Header.Get(HeaderSamplesWritten) == "" {
			return 0, fmt.Errorf("%w: it answered %s without the headers of Remote-Write 2.0; check the URL", ErrWrongAddress, r.Status)
		}
		return 0, nil
	case http.StatusBadRequest:
		if code == CodeNotAllWritten {
			return 0, fmt.Errorf("%w: %s", bus.ErrNotAllWritten, sentence)
		}
		return 0, fmt.Errorf("%w: %s", ErrRefused, said)
	case http.StatusRequestEntityTooLarge:
		return 0, fmt.Errorf("%w: %w: %s", ErrRefused, bus.ErrTooLarge, said)
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType:
		return 0, fmt.Errorf("%w: %s", ErrWrongAddress, said)
	case http.StatusInsufficientStorage:
		if code == CodeNotRecorded {
			return 0, fmt.Errorf("%w (the server's)", bus.ErrNotStored)
		}
	}
	if r.StatusCode/100 == 3 {
		// A POST that follows a redirect may become a GET, and a password may go to
		// another host.
		return 0, fmt.Errorf("%w: it redirects (%s), which is not followed; give the final URL", ErrWrongAddress, r.Status)
	}
	return retryAfter(r.Header.Get("Retry-After")), fmt.Errorf("the server answered %s", said)
}

// readAnswer returns the code and the sentence of an error in the server's form,
// and empty strings for anything else.
func readAnswer(r *http.Response) (code, sentence string, err error) {
	b, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	if err != nil {
		return "", "", err
	}
	var body struct {
		Error struct{ Code, Message string }
	}
	if json.Unmarshal(b, &body) != nil {
		return "", "", nil
	}
	return body.Error.Code, strings.ToValidUTF8(body.Error.Message[:min(len(body.Error.Message), maxSentence)], ""), nil
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
