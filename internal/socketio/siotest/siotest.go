// Package siotest is a Socket.IO client for tests of whole programs: one connection over
// WebSocket, in one namespace, in as much as a page uses of it.
package siotest

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// ErrEnded is the end of a connection that the server announced in a packet.
var ErrEnded = errors.New("the server closed the connection")

// Options of Dial. The zero value is a page in namespace "/".
type Options struct {
	Namespace string // "" or "/": the root
	From      string // local address; "": the system's choice
	// TLS is for https; nil trusts the CAs that the system trusts.
	TLS *tls.Config
	// Patience bounds each write, and each wait for the server. 0: a write takes 5 s at most,
	// and the server may be silent for as long as its handshake says.
	Patience time.Duration
	Header   http.Header // of the upgrade, beside its own
	Auth     string      // JSON that is sent with the CONNECT; "": none
}

// RefusedError is a CONNECT that the server has refused: the JSON of its CONNECT_ERROR.
type RefusedError struct{ JSON string }

func (e *RefusedError) Error() string { return "the server refused the CONNECT: " + e.JSON }

// Client is a connection. One goroutine may use it; Close may be called at any time.
type Client struct {
	conn    net.Conn
	in      io.Reader     // conn, or the bytes behind the response to the upgrade and then conn
	prefix  string        // of the namespace in a packet: "" or "/live,"
	silence time.Duration // that the server is allowed
	write   time.Duration // that a write may take
	lastID  int
}

// Packet is an event, or the answer to a request.
type Packet struct {
	Event string // "" for an answer
	ID    int    // of the request, for an answer
	Arg   json.RawMessage
}

// Open opens a WebSocket at the server with the URL http(s)://host:port, and reads nothing.
func Open(ctx context.Context, url string, o Options) (*Client, error) {
	dialer := ws.Dialer{TLSConfig: o.TLS, NetDial: func(ctx context.Context, network, address string) (net.Conn, error) {
		d := net.Dialer{}
		if o.From != "" {
			d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(o.From)}
		}
		return d.DialContext(ctx, network, address)
	}}
	if o.Header != nil {
		dialer.Header = ws.HandshakeHeaderHTTP(o.Header)
	}
	address := "ws" + strings.TrimPrefix(url, "http") + "/socket.io/?EIO=4&transport=websocket"
	conn, buffered, _, err := dialer.Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	c := &Client{conn: conn, in: conn, silence: 5 * time.Second, write: 5 * time.Second}
	if o.Patience > 0 {
		c.silence, c.write = o.Patience, o.Patience
	}
	if o.Namespace != "" && o.Namespace != "/" {
		c.prefix = o.Namespace + ","
	}
	if buffered != nil {
		c.in = buffered
	}
	return c, nil
}

// Dial opens a connection and enters the namespace.
func Dial(ctx context.Context, url string, o Options) (*Client, error) {
	c, err := Open(ctx, url, o)
	if err != nil {
		return nil, err
	}
	if err := c.enter(o.Auth, o.Patience == 0); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// enter reads the handshake and enters the namespace.
func (c *Client) enter(auth string, believes bool) error {
	opening, err := c.Text()
	if err != nil {
		return err
	}
	var open struct{ PingInterval, PingTimeout int } // ms
	if err := json.Unmarshal(bytes.TrimPrefix(opening, []byte("0")), &open); err != nil {
		return fmt.Errorf("the server opened with %q: %w", opening, err)
	}
	if err := c.Send("40" + c.prefix + auth); err != nil {
		return err
	}
	entered, err := c.Text()
	if err != nil {
		return err
	}
	if refusal, is := bytes.CutPrefix(entered, []byte("44"+c.prefix)); is {
		return &RefusedError{string(refusal)}
	}
	if !bytes.HasPrefix(entered, []byte("40"+c.prefix)) {
		return fmt.Errorf("the server answered the CONNECT with %q", entered)
	}
	if believes {
		c.silence = time.Duration(open.PingInterval+open.PingTimeout) * time.Millisecond
	}
	return nil
}

// Close ends the connection without a word.
func (c *Client) Close() { _ = c.conn.Close() }

// Write sends bytes as they are: frames of a test's own.
func (c *Client) Write(b []byte) (int, error) {
	_ = c.conn.SetWriteDeadline(time.Now().Add(c.write))
	return c.conn.Write(b)
}

// Send sends an Engine.IO packet.
func (c *Client) Send(text string) error {
	return wsutil.WriteClientText(c, []byte(text))
}

// read returns the next Engine.IO packet.
func (c *Client) read() ([]byte, error) {
	_ = c.conn.SetReadDeadline(time.Now().Add(c.silence))
	return wsutil.ReadServerText(struct {
		io.Reader
		io.Writer
	}{c.in, c})
}

// Text returns the next Engine.IO packet that is not a ping, and answers pings.
func (c *Client) Text() ([]byte, error) {
	for {
		b, err := c.read()
		switch {
		case err != nil:
			return nil, err
		case string(b) == "2":
			if err := c.Send("3"); err != nil {
				return nil, err
			}
		case string(b) == "1" || bytes.HasPrefix(b, []byte("41"+strings.TrimSuffix(c.prefix, ","))):
			return nil, ErrEnded
		default:
			return b, nil
		}
	}
}

// Next waits for the next event or answer.
func (c *Client) Next() (Packet, error) {
	for {
		b, err := c.Text()
		if err != nil {
			return Packet{}, err
		}
		if rest, ok := strings.CutPrefix(string(b), "42"+c.prefix+`["`); ok {
			name, arg, ok := strings.Cut(rest, `",`)
			if !ok {
				name, arg = strings.TrimSuffix(rest, `"]`), "null]"
			}
			return Packet{Event: name, Arg: json.RawMessage(strings.TrimSuffix(arg, "]"))}, nil
		}
		if rest, ok := strings.CutPrefix(string(b), "43"+c.prefix); ok {
			number, arg, _ := strings.Cut(rest, "[")
			id, err := strconv.Atoi(number)
			if err != nil {
				return Packet{}, fmt.Errorf("an answer without a number: %.80q", b)
			}
			return Packet{ID: id, Arg: json.RawMessage(strings.TrimSuffix(arg, "]"))}, nil
		}
	}
}

// Request sends an event that is to be answered, and returns its number.
func (c *Client) Request(event string, arg any) (id int, err error) {
	b, err := json.Marshal(arg)
	if err != nil {
		return 0, err
	}
	c.lastID++
	return c.lastID, c.Send(fmt.Sprintf(`42%s%d[%q,%s]`, c.prefix, c.lastID, event, b))
}

// Ask sends a request and returns its answer. Events that come before it are dropped.
func (c *Client) Ask(event string, arg any) (answer json.RawMessage, err error) {
	id, err := c.Request(event, arg)
	for err == nil {
		var p Packet
		if p, err = c.Next(); err == nil && p.Event == "" && p.ID == id {
			return p.Arg, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", event, err)
}

// Closed reads until the connection ends, without answering pings, and returns the code of
// the close frame; 0 if there was none.
func (c *Client) Closed() ws.StatusCode {
	defer c.Close()
	for {
		if _, err := c.read(); err != nil {
			end, _ := errors.AsType[wsutil.ClosedError](err)
			return end.Code
		}
	}
}
