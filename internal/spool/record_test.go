package spool

import (
	"bytes"
	"testing"
)

func FuzzRecord(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0, 0, 0})
	f.Add([]byte{1, 1, 0})
	f.Add(appendRecord(nil, header{seq: 1}, nil))
	f.Add(appendRecord(nil, header{seq: 1 << 63, merged: 64, time: -1}, []byte("batch")))
	f.Add(bytes.Repeat([]byte{0xff}, 30))
	f.Fuzz(func(t *testing.T, rec []byte) {
		h, body, err := parseRecord(rec)
		if err != nil {
			return
		}
		if h.first() == 0 || h.first() > h.seq {
			t.Fatalf("%x has numbers %d to %d", rec, h.first(), h.seq)
		}
		again, body2, err := parseRecord(appendRecord(nil, h, body))
		if err != nil || again != h || !bytes.Equal(body, body2) {
			t.Fatalf("%x became %v %x, then %v %x, %v", rec, h, body, again, body2, err)
		}
	})
}
