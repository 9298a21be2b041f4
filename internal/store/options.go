package store

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/compression"
)

const (
	defaultRetention    = 30 * 24 * time.Hour
	defaultReserveBytes = 256 << 20
	walSegmentSize      = 32 << 20
)

// Options of a Store; only Dir is required.
type Options struct {
	// Dir is the data directory; it and its parents are created.
	Dir string
	// Retention is how long samples are kept; whole blocks (two hours at first,
	// up to a tenth of the retention later) are dropped once all of it is
	// older. 0 means 30 days, less than a minute is an error.
	Retention time.Duration
	// RetentionBytes drops the oldest blocks when the database grows beyond
	// it. 0 means no bound, a negative value is an error.
	RetentionBytes int64
	// OutOfOrder is how far behind the newest sample of the whole store a late
	// sample may lie. 0 refuses samples older than the newest of their series;
	// a negative value is an error.
	OutOfOrder time.Duration
	// Sync has each Append fsync the write logs before it returns, so that a power loss
	// costs nothing of it.
	Sync bool
	// ReserveBytes is the free disk space below which nothing is committed.
	// 0 means 256 MiB, a negative value switches the check off.
	ReserveBytes int64
	// QueryReads is how many queries over HTTP read history at once, besides the pages; 0
	// means 4. QueryTimeout is how long each may take, including the time that it waits for
	// its turn; 0 means 30 s. A negative value of either is an error.
	QueryReads   int
	QueryTimeout time.Duration
	// FreeSpace returns the free bytes of dir's file system; nil asks the
	// operating system. Called at most once a second.
	FreeSpace func(dir string) (int64, error)
	// Logger gets the database's warnings and errors, and its progress at debug
	// level. nil discards.
	Logger *slog.Logger
	// Registerer gets the metrics of the store (stripchart_store_...) and the
	// database (prometheus_tsdb_...) until Close. May be nil.
	Registerer prometheus.Registerer
}

func (o *Options) setDefaults() error {
	if o.Dir == "" {
		return errors.New("no data directory given")
	}
	if o.Retention == 0 {
		o.Retention = defaultRetention
	}
	if o.Retention < time.Minute {
		return fmt.Errorf("retention must be at least one minute, not %s", o.Retention)
	}
	if o.RetentionBytes < 0 {
		return fmt.Errorf("retention in bytes must not be negative (%d); 0 means no bound", o.RetentionBytes)
	}
	if o.OutOfOrder < 0 {
		return fmt.Errorf("the window for late samples must not be negative (%s)", o.OutOfOrder)
	}
	if o.ReserveBytes == 0 {
		o.ReserveBytes = defaultReserveBytes
	}
	if o.QueryReads < 0 || o.QueryTimeout < 0 {
		return fmt.Errorf("the number of queries at once (%d) and their time (%s) must not be negative", o.QueryReads, o.QueryTimeout)
	}
	o.QueryReads = cmp.Or(o.QueryReads, defaultQueryReads)
	o.QueryTimeout = cmp.Or(o.QueryTimeout, defaultQueryTimeout)
	if o.FreeSpace == nil {
		o.FreeSpace = freeSpace
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// tsdbOptions sets tsdb up for a small server: its defaults are for millions of
// series and cost tens of megabytes before the first sample.
func tsdbOptions(o Options) *tsdb.Options {
	t := tsdb.DefaultOptions()
	t.RetentionDuration = o.Retention.Milliseconds()
	t.MaxBytes = o.RetentionBytes
	t.OutOfOrderTimeWindow = o.OutOfOrder.Milliseconds()
	// Without larger blocks 30 days are 360 of them, each with its index mapped
	// and asked by every long query; Prometheus's server uses the same rule.
	t.MaxBlockDuration = min(max(t.RetentionDuration/10, t.MinBlockDuration), (31 * 24 * time.Hour).Milliseconds())
	// Locks and maps of the series index, about 300 bytes a stripe: 16,384 by
	// default, against contention that a single writer does not have.
	t.StripeSize = 512
	// Allocated once, in full; 4 MiB by default. A chunk takes at most about
	// 1 KiB, so this is one write for a hundred of them.
	t.HeadChunksWriteBufferSize = 128 << 10
	// Segments are deleted as a whole once the head has moved on; a smaller one
	// gives its space back earlier (default 128 MiB).
	t.WALSegmentSize = walSegmentSize
	t.WALCompression = compression.Snappy
	// Our own lock (lock.go) also covers what lies beside the database, and is
	// silent after a kill, where tsdb's warns.
	t.NoLockfile = true
	return t
}
