// Package httperr is how HTTP requests are refused. An error is JSON with a stable code,
// for programs, and a message that says what to do, for people.
//
//	{"error":{"code":"too_large","message":"nothing was written: ...; send smaller requests"}}
package httperr

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// maxMessage bounds a message in bytes; the text of clients may be part of it.
const maxMessage = 1000

// Error is an error in an HTTP response.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type body struct {
	Error Error `json:"error"`
}

// Bounded returns e with at most as much of its message as is sent.
func (e Error) Bounded() Error {
	e.Message = bounded(e.Message, maxMessage)
	return e
}

// Body returns the JSON of e, with a line end.
func (e Error) Body() []byte {
	b, err := json.Marshal(body{e.Bounded()})
	if err != nil {
		panic(err) // two strings can be marshalled
	}
	return append(b, '\n')
}

// Write sends e as the response. Other headers must be set before.
func (e Error) Write(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(e.Body()) // if it fails, the client is gone
}

// Read returns the error in the body of a response, of which it reads at most maxBody
// bytes, with at most maxMessage bytes of the message. A body in any other form is the zero
// Error. err is a failure to read the body.
func Read(r io.Reader, maxBody int64, maxMessage int) (e Error, err error) {
	b, err := io.ReadAll(io.LimitReader(r, maxBody))
	if err != nil {
		return e, err
	}
	var x body
	if json.Unmarshal(b, &x) != nil {
		return e, nil
	}
	x.Error.Message = bounded(x.Error.Message, maxMessage)
	return x.Error, nil
}

// bounded returns at most n bytes of s, without a broken character at the end.
func bounded(s string, n int) string { return strings.ToValidUTF8(s[:min(len(s), n)], "") }
