package ingest

import (
	"errors"
	"io"
	"net/http"
)

// firstBytes is what a body occupies before any of it has arrived.
const firstBytes = 4 << 10

// read returns the body, of at most so many bytes. The zero answer means that it is
// complete. Its buffer grows with what arrives, and p with the buffer.
func (e *Endpoint) read(w http.ResponseWriter, r *http.Request, p *place, most int64) ([]byte, answer) {
	if r.ContentLength > most {
		return nil, tooLarge("as sent", most)
	}
	from := http.MaxBytesReader(w, r.Body, most)
	var body []byte
	for {
		if len(body) == cap(body) {
			size := max(2*int64(cap(body)), firstBytes)
			if r.ContentLength >= 0 {
				size = min(size, r.ContentLength+1) // with room to see its end
			}
			if !p.grow(size - int64(cap(body))) {
				return nil, overloaded()
			}
			grown := make([]byte, len(body), size)
			copy(grown, body)
			body = grown
		}
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		var large *http.MaxBytesError
		switch {
		case err == nil:
			continue
		case errors.As(err, &large):
			return nil, tooLarge("as sent", most)
		case err == io.EOF && (r.ContentLength < 0 || int64(len(body)) == r.ContentLength):
			return body, answer{}
		}
		// 408 would be the right status, but senders of Remote-Write give a request up after any 4xx.
		return nil, answer{status: http.StatusServiceUnavailable, code: "incomplete", message: "the body did not arrive in full within the time limit; send the same request again", retry: retrySoon, closing: true}
	}
}
