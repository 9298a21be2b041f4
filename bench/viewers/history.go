//go:build linux

package main

import (
	"fmt"
	"os"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/store"
)

// prefill writes a past of span, a sample a second, of the series of oneRoom into
// the data directory dir, as this machine's collector would have. The program
// must not run on it.
func prefill(dir string, span time.Duration) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("find this host's name: %w", err)
	}
	s, err := store.Open(store.Options{Dir: dir, OutOfOrder: 24 * time.Hour, ReserveBytes: -1})
	if err != nil {
		return err
	}
	names := [...]string{"load1", "load5", "load15"}
	refs := make([]store.Ref, len(names))
	rows := make([]store.Row, len(names))
	for i, name := range names {
		rows[i] = store.Row{Ref: &refs[i], Labels: labels.FromStrings("__name__", name, "host", host)}
	}
	now := time.Now().Truncate(time.Second)
	for t := now.Add(-span); t.Before(now); t = t.Add(time.Second) {
		for i := range rows {
			value := float64(t.Unix()%(60*int64(i+1))) / 16
			rows[i].Samples = []bus.Sample{{T: t.UnixMilli(), V: value}}
		}
		if err := s.Append(rows); err != nil {
			_ = s.Close() // the first error says why
			return err
		}
	}
	return s.Close()
}
