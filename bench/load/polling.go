//go:build linux

package load

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// polling is a viewer's transport when it is HTTP long-polling: on its one
// connection it has one request under way at a time, a poll, or a post when there
// is something to say. Engine.IO protocol v4, "HTTP long-polling".
type polling struct {
	session []byte
	posting bool     // the answer that comes is to a post
	outbox  []string // what to post before the next poll
}

// separator stands between the packets of one answer or post.
const separator = 0x1e

// next makes the next request.
func (f *Fleet) next(v *viewer) error {
	p := v.polling
	request := f.scratch[:0]
	p.posting = len(p.outbox) > 0
	if p.posting {
		request = append(request, "POST"...)
	} else {
		request = append(request, "GET"...)
	}
	request = append(request, " /socket.io/?EIO=4&transport=polling"...)
	if p.session != nil {
		request = append(append(request, "&sid="...), p.session...)
	}
	request = append(append(request, " HTTP/1.1\r\nHost: "...), f.host...)
	if p.posting {
		body := strings.Join(p.outbox, string(rune(separator)))
		p.outbox = nil
		request = fmt.Appendf(request, "\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	} else {
		request = append(request, "\r\n\r\n"...)
	}
	f.scratch = request
	return f.send(v, request)
}

// takeAnswer handles the answer in b, if it is all there, and makes the next
// request.
func (f *Fleet) takeAnswer(i int, v *viewer, b []byte) error {
	body, done, err := answer(b)
	if err != nil {
		return err
	}
	if !done {
		v.rest = append(v.rest[:0], b...)
		return nil
	}
	if !v.polling.posting {
		updates := 0
		for text := range bytes.SplitSeq(body, []byte{separator}) {
			if v.polling.session == nil {
				v.polling.session = bytes.Clone(textAfter(text, `"sid":"`))
			}
			isUpdate, err := f.message(i, v, text, updates == 0)
			if err != nil {
				return err
			}
			if isUpdate {
				updates++
			}
		}
		f.figures.Updates += updates
	}
	v.keepRest(nil)
	return f.next(v)
}

// answer returns the body of the HTTP response in b. done is false if it has not
// all come.
func answer(b []byte) (body []byte, done bool, err error) {
	head, rest, done := bytes.Cut(b, []byte("\r\n\r\n"))
	if !done {
		return nil, false, nil
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
		line, _, _ := bytes.Cut(head, []byte("\r\n"))
		return nil, false, fmt.Errorf("%w: the server answered %q", errRefused, line)
	}
	_, length, ok := bytes.Cut(head, []byte("\r\nContent-Length: "))
	length, _, _ = bytes.Cut(length, []byte("\r\n"))
	n, err := strconv.Atoi(string(length))
	if !ok || err != nil {
		return nil, false, fmt.Errorf("%w: the answer does not tell its length", errRefused)
	}
	if len(rest) > n {
		return nil, false, fmt.Errorf("%w: the server sent more than it was asked for", errRefused)
	}
	return rest, len(rest) == n, nil
}
