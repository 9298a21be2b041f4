//go:build linux

package load

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// askTimeout is how long the server may take for one request.
const askTimeout = 30 * time.Second

// Ask connects to namespace /live, makes one request and returns its
// acknowledgement. A refusal is an error.
func Ask(server netip.AddrPort, event string, arg any) (json.RawMessage, error) {
	request, err := json.Marshal(arg)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", event, err)
	}
	conn, err := net.DialTimeout("tcp4", server.String(), askTimeout)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(askTimeout)); err != nil {
		return nil, err
	}
	c := asker{conn: conn}
	answer, err := c.ask(server.String(), fmt.Sprintf("42/live,0[%q,%s]", event, request))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", event, err)
	}
	return answer, nil
}

// asker is a connection that waits for one thing at a time.
type asker struct {
	conn net.Conn
	b    []byte // read and not yet handled
}

func (c *asker) ask(host, text string) (json.RawMessage, error) {
	if _, err := c.conn.Write(request(host)); err != nil {
		return nil, err
	}
	for {
		rest, done, err := upgraded(c.b)
		if err != nil {
			return nil, err
		}
		if done {
			c.b = rest
			break
		}
		if err := c.more(); err != nil {
			return nil, err
		}
	}
	for {
		message, err := c.message()
		if err != nil {
			return nil, err
		}
		reply := ""
		switch kindOf(message) {
		case kindOpen:
			reply = entrance
		case kindPing:
			reply = pong
		case kindHello:
			reply = text
		case kindAnswer:
			answer := bytes.TrimPrefix(message, []byte("43/live,0["))
			return bytes.Clone(answer[:len(answer)-1]), nil
		case kindRefusal, kindNoEntrance:
			return nil, fmt.Errorf("%w: %s", errRefused, message)
		}
		if reply == "" {
			continue
		}
		if _, err := c.conn.Write(appendFrame(nil, opText, reply)); err != nil {
			return nil, err
		}
	}
}

// message returns the next text message. It is valid until the next call.
func (c *asker) message() ([]byte, error) {
	for {
		op, payload, rest, ok, err := nextFrame(c.b)
		switch {
		case err != nil:
			return nil, err
		case !ok:
			if err := c.more(); err != nil {
				return nil, err
			}
			continue
		}
		c.b = rest
		switch op {
		case opText:
			return payload, nil
		case opClose:
			return nil, errEnded
		}
	}
}

// more reads once.
func (c *asker) more() error {
	b := make([]byte, readSize)
	n, err := c.conn.Read(b)
	c.b = append(c.b, b[:n]...)
	return err
}
