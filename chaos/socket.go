package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"stripchart/internal/wire"
)

// socket is one Socket.IO connection in one namespace over WebSocket, in as much as a
// page uses of it.
type socket struct {
	conn    net.Conn
	prefix  string        // of the namespace in a packet: "" or "/live,"
	in      io.Reader     // conn, or what came along with the handshake and then conn
	silence time.Duration // after which the server is taken for gone, as it said itself
	lastID  int
}

// packet is what a page hears: an event, or the answer to a request.
type packet struct {
	event string // "" for an answer
	id    int    // of the request that is answered
	arg   json.RawMessage
}

var errSaidGoodbye = errors.New("the server closed the connection")

// Namespaces.
const (
	root = "/"
	live = "/live"
)

// dial connects to address, host:port, and enters the namespace.
func dial(ctx context.Context, address, namespace string) (*socket, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, buffered, _, err := ws.Dial(ctx, "ws://"+address+"/socket.io/?EIO=4&transport=websocket")
	if err != nil {
		return nil, err
	}
	s := &socket{conn: conn, in: conn, silence: 5 * time.Second}
	if namespace != root {
		s.prefix = namespace + ","
	}
	if buffered != nil {
		s.in = buffered
	}
	if err := s.enter(); err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

func (s *socket) enter() error {
	opening, err := s.text()
	if err != nil {
		return err
	}
	var open struct{ PingInterval, PingTimeout int } // ms
	if err := json.Unmarshal(bytes.TrimPrefix(opening, []byte("0")), &open); err != nil {
		return fmt.Errorf("the server opened with %q: %w", opening, err)
	}
	if err := s.write("40" + s.prefix); err != nil {
		return err
	}
	entrance, err := s.text()
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(entrance, []byte("40"+s.prefix)) {
		return fmt.Errorf("the server answered the CONNECT with %q", entrance)
	}
	s.silence = time.Duration(open.PingInterval+open.PingTimeout) * time.Millisecond
	return nil
}

func (s *socket) close() { _ = s.conn.Close() }

func (s *socket) write(text string) error {
	_ = s.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	return wsutil.WriteClientText(s.conn, []byte(text))
}

// text returns the next Engine.IO packet that is not a ping.
func (s *socket) text() ([]byte, error) {
	for {
		_ = s.conn.SetReadDeadline(time.Now().Add(s.silence))
		b, err := wsutil.ReadServerText(struct {
			io.Reader
			io.Writer
		}{s.in, s.conn})
		switch {
		case err != nil:
			return nil, err
		case string(b) == "2":
			if err := s.write("3"); err != nil {
				return nil, err
			}
		case string(b) == "1" || bytes.HasPrefix(b, []byte("41"+strings.TrimSuffix(s.prefix, ","))):
			return nil, errSaidGoodbye
		default:
			return b, nil
		}
	}
}

// next waits for the next event or answer.
func (s *socket) next() (packet, error) {
	for {
		b, err := s.text()
		if err != nil {
			return packet{}, err
		}
		if rest, ok := strings.CutPrefix(string(b), "42"+s.prefix+`["`); ok {
			name, arg, ok := strings.Cut(rest, `",`)
			if !ok {
				name, arg = strings.TrimSuffix(rest, `"]`), "null]"
			}
			return packet{event: name, arg: json.RawMessage(strings.TrimSuffix(arg, "]"))}, nil
		}
		if rest, ok := strings.CutPrefix(string(b), "43"+s.prefix); ok {
			number, arg, _ := strings.Cut(rest, "[")
			id, err := strconv.Atoi(number)
			if err != nil {
				return packet{}, fmt.Errorf("an answer without a number: %.80q", b)
			}
			return packet{id: id, arg: json.RawMessage(strings.TrimSuffix(arg, "]"))}, nil
		}
	}
}

// request sends an event that is to be answered and returns its number.
func (s *socket) request(event string, arg any) (id int, err error) {
	b, err := json.Marshal(arg)
	if err != nil {
		return 0, err
	}
	s.lastID++
	return s.lastID, s.write(fmt.Sprintf(`42%s%d[%q,%s]`, s.prefix, s.lastID, event, b))
}

// ask sends a request and waits for its answer, passing over events. A refusal
// is an error.
func (s *socket) ask(event string, arg, answer any) error {
	id, err := s.request(event, arg)
	if err != nil {
		return fmt.Errorf("%s: %w", event, err)
	}
	for {
		p, err := s.next()
		if err != nil {
			return fmt.Errorf("%s: %w", event, err)
		}
		if p.event != "" || p.id != id {
			continue
		}
		if err := granted(p.arg); err != nil {
			return fmt.Errorf("%s: %w", event, err)
		}
		return json.Unmarshal(p.arg, answer)
	}
}

// granted returns the error that an answer is, or nil.
func granted(answer json.RawMessage) error {
	var r wire.Refused
	if err := json.Unmarshal(answer, &r); err != nil {
		return fmt.Errorf("answer %.200s: %w", answer, err)
	}
	if !r.OK {
		if r.Error == nil {
			return fmt.Errorf("refused: %.200s", answer)
		}
		return r.Error
	}
	return nil
}
