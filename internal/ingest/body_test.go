package ingest

import (
	"bytes"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// Announcing a body costs nothing, so it takes nothing from others.
func TestBodiesThatWereOnlyAnnouncedKeepNobodyOut(t *testing.T) {
	var p taken
	const most = 128 << 10
	h := handler(t, Options{Publish: p.publish, MaxBody: most, MaxDecoded: most, MaxInFlight: 2 * most, MaxWrites: 2, ReadTimeout: time.Minute})
	s := httptest.NewServer(h)
	defer s.Close()
	for range 10 {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, rawHead(most)+"x"); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Millisecond) {
		if _, held := h.load.held(); held == 10*firstBytes {
			break // each has sent a byte, and occupies one buffer
		} else if time.Now().After(end) {
			t.Fatalf("%d bytes are held", held)
		}
	}
	body := encode(batch(0))
	r := post(body)
	r.RequestURI = ""
	r.URL.Scheme, r.URL.Host = "http", s.Listener.Addr().String()
	for range 3 {
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != 204 {
			t.Errorf("%s", answer.Status)
		}
	}
}

func TestABodyOfAnyLengthIsReadWhole(t *testing.T) {
	var p taken
	h := handler(t, Options{Publish: p.publish})
	for _, n := range []int{0, 1, firstBytes - 1, firstBytes, firstBytes + 1, 3*firstBytes + 7, 1 << 20} {
		for _, announced := range []bool{true, false} {
			body := make([]byte, n)
			_, _ = rand.Read(body) // it never fails
			r := post(body)
			if !announced {
				r.ContentLength = -1
			}
			got, a := h.read(httptest.NewRecorder(), r, &place{l: &h.load}, 4<<20)
			if a.status != 0 || string(got) != string(body) {
				t.Errorf("%d bytes, announced %v: %+v, %d bytes came", len(body), announced, a, len(got))
			}
		}
	}
}
