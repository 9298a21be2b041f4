package socketio

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

// Reasons to close a WebSocket that ws.CheckHeader does not know.
var (
	errTooBig      = errors.New("message exceeds the maximum payload")
	errFrameText   = errors.New("text message is not valid UTF-8")
	errCloseFrame  = errors.New("invalid close frame")
	errFrameLength = errors.New("invalid frame length")
	errFragments   = errors.New("message has too many fragments")
)

// maxFragments bounds the work that a message of empty fragments can cause.
const maxFragments = 4096

// frameReader parses the bytes of a client's WebSocket into messages. It is given the
// result of each read and keeps only unfinished messages, so that a connection needs no
// buffer between two messages. RFC 6455, sections 5.2-5.5.
type frameReader struct {
	max   int        // bytes in one message, also once decompressed
	flate *flatePool // nil unless compression was agreed on
	head  [ws.MaxHeaderSize]byte
	n     int // bytes in head

	frame   ws.Header // of the frame whose payload is being read, if inFrame
	inFrame bool
	read    int64 // bytes of its payload read so far

	op        ws.OpCode // of the fragmented message in progress; 0 if none
	fragments int       // of it
	deflated  bool      // it, or the unfragmented message in progress, is compressed
	message   []byte    // payload so far: of that message or of an unfinished frame
	control   []byte    // payload so far of an unfinished control frame
}

// feed consumes b, which it changes, and calls handle for each finished message
// and control frame. payload is valid during the call only. The first error
// ends the connection; handle's errors are returned as they are.
func (r *frameReader) feed(b []byte, handle func(op ws.OpCode, payload []byte) error) error {
	for {
		if !r.inFrame {
			rest, ok, err := r.header(b)
			if err != nil {
				return err
			}
			if !ok {
				return nil
			}
			b = rest
		}
		k := min(int64(len(b)), r.frame.Length-r.read)
		chunk := b[:k]
		b = b[k:]
		// ws.Cipher takes the offset modulo 4; reduced here because int may be 32 bits.
		ws.Cipher(chunk, r.frame.Mask, int(r.read%4))
		r.read += k
		if r.read < r.frame.Length {
			if r.frame.OpCode.IsControl() {
				r.control = append(r.control, chunk...)
			} else {
				r.message = append(r.message, chunk...)
			}
			return nil
		}
		r.inFrame = false
		if err := r.finish(chunk, handle); err != nil {
			return err
		}
	}
}

// finish ends the frame whose last payload bytes are chunk.
func (r *frameReader) finish(chunk []byte, handle func(ws.OpCode, []byte) error) error {
	if op := r.frame.OpCode; op.IsControl() {
		payload := chunk
		if r.control != nil {
			payload = append(r.control, chunk...)
			r.control = nil
		}
		return handle(op, payload)
	}
	if !r.frame.Fin {
		if r.op == 0 {
			r.op = r.frame.OpCode
		}
		if r.fragments++; r.fragments > maxFragments {
			return errFragments
		}
		r.message = append(r.message, chunk...)
		return nil
	}
	op, payload, compressed := r.frame.OpCode, chunk, r.deflated
	if r.op != 0 {
		op = r.op
	}
	if r.message != nil {
		payload = append(r.message, chunk...)
	}
	r.op, r.fragments, r.deflated, r.message = 0, 0, false, nil
	if compressed {
		var err error
		if payload, err = r.flate.inflate(payload, r.max); err != nil {
			return err
		}
	}
	if op == ws.OpText && !utf8.Valid(payload) {
		return errFrameText
	}
	return handle(op, payload)
}

// idle tells that nothing is unfinished: a new frameReader could take over.
func (r *frameReader) idle() bool { return r.n == 0 && !r.inFrame && r.op == 0 }

// header reads a frame header; ok is false if b ends within it.
func (r *frameReader) header(b []byte) (rest []byte, ok bool, err error) {
	for r.n < 2 || r.n < headerSize(r.head[1]) {
		need := 2
		if r.n >= 2 {
			need = headerSize(r.head[1])
		}
		k := copy(r.head[r.n:need], b)
		if k == 0 {
			return nil, false, nil
		}
		r.n += k
		b = b[k:]
	}
	h, err := ws.ReadHeader(bytes.NewReader(r.head[:r.n]))
	if err != nil {
		return nil, false, errFrameLength
	}
	if r.flate != nil {
		if h, err = r.compression(h); err != nil {
			return nil, false, err
		}
	}
	state := ws.StateServerSide
	if r.op != 0 {
		state = state.Set(ws.StateFragmented)
	}
	if err := ws.CheckHeader(h, state); err != nil {
		return nil, false, err
	}
	if !h.OpCode.IsControl() && h.Length > int64(r.max-len(r.message)) {
		return nil, false, errTooBig
	}
	r.n, r.frame, r.inFrame, r.read = 0, h, true, 0
	return b, true, nil
}

// compression takes note of the bit that marks a compressed message, and clears
// it. RFC 7692, section 6.
func (r *frameReader) compression(h ws.Header) (ws.Header, error) {
	h, compressed, err := wsflate.UnsetBit(h)
	if compressed && r.op == 0 {
		r.deflated = true
	}
	return h, err
}

// headerSize is the length of a frame header whose second byte is b.
func headerSize(b byte) int {
	n := 2
	if b&0x80 != 0 {
		n += 4
	}
	switch b & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	return n
}

// closeStatus is the code with which a WebSocket is closed for err.
func closeStatus(err error) ws.StatusCode {
	var protocol ws.ProtocolError
	switch {
	case errors.Is(err, errTooBig):
		return ws.StatusMessageTooBig
	case errors.Is(err, errFrameText), errors.Is(err, errInflate):
		return ws.StatusInvalidFramePayloadData
	case errors.As(err, &protocol), errors.Is(err, errFrameLength), errors.Is(err, errCloseFrame):
		return ws.StatusProtocolError
	default:
		return ws.StatusPolicyViolation
	}
}

// closeReply checks a received close frame and returns the code to answer with.
func closeReply(payload []byte) (ws.StatusCode, error) {
	switch len(payload) {
	case 0:
		return ws.StatusNormalClosure, nil
	case 1:
		return 0, errCloseFrame
	}
	code, reason := ws.ParseCloseFrameData(payload)
	if err := ws.CheckCloseFrameData(code, reason); err != nil {
		return 0, err
	}
	return code, nil
}
