//go:build linux

package floor

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stripchart/bench/load"
)

// patience bounds every wait for something that takes moments on a machine at rest.
const patience = 2 * time.Minute

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// frame is a finished frame with an update.
func frame(now, sample int64) string {
	text := `42/live,["update",{"room":"r-1","position":"e-1","now":` + strconv.FormatInt(now, 10) +
		`,"blocks":[{"ids":[0],"x":[` + strconv.FormatInt(sample, 10) + `],"y":[[1]]}]}]`
	return "\x81\x7e\x00" + string(byte(len(text))) + text
}

func TestTemplateHasTheTimesOfTheTick(t *testing.T) {
	two := frame(1500000000000, 1500000000001) + frame(1500000000002, 1500000000003)
	tm, err := newTemplate([]byte(two))
	if err != nil {
		t.Fatal(err)
	}
	got := string(tm.at(time.UnixMilli(1600000000000), time.UnixMilli(1600000000005)))
	if want := strings.Repeat(frame(1600000000005, 1600000000000), 2); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, bad := range []string{"", "\x81\x00", frame(15, 16)} {
		if _, err := newTemplate([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// The floor and its viewers: everyone is sent every tick, also after some have gone.
func TestEveryConnectionIsSentEveryTick(t *testing.T) {
	const interval = 20 * time.Millisecond
	s, err := New([]byte(frame(1500000000000, 1500000000001)), interval)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()

	address := netip.MustParseAddrPort(l.Addr().String())
	connect := func(viewers int) *load.Fleet {
		f, err := load.New(load.Plan{Server: address, Viewers: viewers, Bare: true, Queries: []string{"one"}, PerAddress: 20})
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Connect(patience); err != nil {
			t.Fatal(err)
		}
		return f
	}
	leaving, staying := connect(30), connect(50)
	defer staying.Close()
	leaving.Close()
	if err := staying.Run(2 * interval); err != nil {
		t.Fatal(err)
	}
	staying.Reset()
	const ticks = 20
	if err := staying.Await(func() bool { return staying.Figures().Updates >= ticks*50 }, patience); err != nil {
		t.Fatal(err)
	}
	got := staying.Figures()
	if p := got.FromSend.Percentile(1); p <= 0 || p > patience {
		t.Errorf("delivered %v after it was sent", p)
	}
	if p := got.FromSample.Percentile(0.5); p < got.FromSend.Percentile(0.5) {
		t.Errorf("%v after the sample was taken, before it was sent", p)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
