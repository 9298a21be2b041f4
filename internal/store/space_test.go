package store

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stripchart/internal/bus"
)

func TestFullDiskRefusesAppendsUntilThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var free, asked atomic.Int64
		free.Store(300 << 20)
		o := options(t.TempDir())
		o.ReserveBytes = 0 // the default
		o.FreeSpace = func(string) (int64, error) {
			asked.Add(1)
			return free.Load(), nil
		}
		s := open(t, o)
		l := series("a")
		for i := range int64(100) {
			appendRows(t, s, row(l, bus.Sample{T: base + i, V: 1}))
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("asked %d times within a moment", n)
		}
		free.Store(255 << 20)
		time.Sleep(spaceCheckEvery)
		if err := s.Append([]Row{row(l, bus.Sample{T: base + 1000, V: 1})}); !errors.Is(err, ErrDiskFull) {
			t.Errorf("Append: %v", err)
		}
		if err := s.Writable(); !errors.Is(err, ErrDiskFull) {
			t.Errorf("Writable: %v", err)
		}
		if got := history(t, s, base, base+2000)[l.String()]; len(got) != 100 { // reading goes on
			t.Errorf("%d samples", len(got))
		}
		free.Store(256 << 20)
		time.Sleep(spaceCheckEvery)
		if err := s.Writable(); err != nil {
			t.Errorf("Writable: %v", err)
		}
		appendRows(t, s, row(l, bus.Sample{T: base + 1000, V: 1}))
	})
}

func TestUnknownFreeSpaceIsNoFullDisk(t *testing.T) {
	o := options(t.TempDir())
	o.ReserveBytes = 1
	o.FreeSpace = func(string) (int64, error) { return 0, errors.New("cannot tell") }
	appendRows(t, open(t, o), row(series("a"), bus.Sample{T: base, V: 1}))
}

func TestFreeSpaceOfTheOperatingSystem(t *testing.T) {
	if n, err := freeSpace(t.TempDir()); err != nil || n <= 0 {
		t.Errorf("%d bytes free, %v", n, err)
	}
	o := options(t.TempDir())
	o.ReserveBytes = 1 << 60 // more than there is
	if err := open(t, o).Append(nil); !errors.Is(err, ErrDiskFull) {
		t.Errorf("error %v", err)
	}
}
