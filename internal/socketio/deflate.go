package socketio

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
)

// Compression of WebSocket messages, permessage-deflate of RFC 7692, always
// without context takeover: a message is compressed by itself, so that it is
// compressed once for all its receivers, and a connection keeps no window
// (32 KB and more in each direction).

var errInflate = errors.New("message is not valid deflate data")

// deflateTail is what RFC 7692, section 7.2.1, leaves off the end of a message.
var deflateTail = []byte{0x00, 0x00, 0xff, 0xff}

// inflateTail is deflateTail and an empty last block, with which a reader finds the end.
const inflateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// deflated is a Packet compressed: its frame, or nil if that would not be
// smaller.
type deflated struct{ frame []byte }

var notSmaller = &deflated{}

// flatePool lends compressors and decompressors, which are large.
type flatePool struct {
	from             int // bytes of the smallest packets that are compressed
	writers, readers sync.Pool
}

// negotiation is what upgradeHTTP offers for compression.
func negotiation() *wsflate.Extension {
	return &wsflate.Extension{Parameters: wsflate.Parameters{ServerNoContextTakeover: true, ClientNoContextTakeover: true}}
}

// prepare compresses packets for a connection that agreed to compression, unless an earlier
// call has compressed them for another connection.
func (f *flatePool) prepare(ps []*Packet) {
	for _, p := range ps {
		if p.deflated.Load() == nil {
			// Once set it never changes: a connection may have sent a part of its bytes.
			p.deflated.CompareAndSwap(nil, f.deflate(p))
		}
	}
}

func (f *flatePool) deflate(p *Packet) *deflated {
	if len(p.text) < f.from || len(p.attachments) > 0 {
		return notSmaller
	}
	var out bytes.Buffer
	w, ok := f.writers.Get().(*flate.Writer)
	if !ok {
		w, _ = flate.NewWriter(&out, flate.BestSpeed) // fails for unknown levels only
	}
	w.Reset(&out)
	// Writing to memory cannot fail.
	_, _ = w.Write(p.text)
	_ = w.Flush()
	f.writers.Put(w)
	payload := bytes.TrimSuffix(out.Bytes(), deflateTail)
	if len(payload) >= len(p.text) {
		return notSmaller
	}
	frame := ws.NewTextFrame(payload)
	frame.Header.Rsv = ws.Rsv(true, false, false)
	return &deflated{frame: slices.Clip(ws.MustCompileFrame(frame))}
}

// inflate decompresses a message of at most limit bytes.
func (f *flatePool) inflate(payload []byte, limit int) ([]byte, error) {
	src := io.MultiReader(bytes.NewReader(payload), bytes.NewReader([]byte(inflateTail)))
	r, ok := f.readers.Get().(io.ReadCloser)
	if !ok {
		r = flate.NewReader(src)
	}
	_ = r.(flate.Resetter).Reset(src, nil) // fails for dictionaries only
	defer f.readers.Put(r)
	out, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	switch {
	case err != nil:
		return nil, errInflate
	case len(out) > limit:
		return nil, errTooBig
	}
	return out, nil
}
