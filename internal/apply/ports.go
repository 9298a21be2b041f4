package apply

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/recent"
	"stripchart/internal/store"
)

// Options are the options of New. All but Replica and MaxShown are required.
type Options struct {
	Bus      bus.Bus
	Store    Store
	Log      *slog.Logger
	Registry prometheus.Registerer

	// Replica says that the log outlives this process and is read by others as well:
	// how far it was applied is saved, and a bus that is away is waited for.
	Replica bool

	Accept time.Duration // W of the acceptance rule
	Window time.Duration // the longest that a page may ask for: no gap is older

	MaxShown int // samples that are remembered of those that are shown while the disk is full; 0: 1,048,576
}

// Store is what the log side needs of the time-series database; see package store for the
// contracts.
type Store interface {
	Append(rows []store.Row) error
	LookUp(ctx context.Context, questions []store.Question) error
	Series(ctx context.Context, ms []*labels.Matcher, from, to int64) ([]labels.Labels, error)
	Notes
}

// Notes are small files that belong to the history.
type Notes interface {
	Keep(n store.Note, b []byte) error
	Kept(n store.Note) ([]byte, error)
	Intact() bool
	// Losses is what damage has cost, and LossesDeclared has it forgotten.
	Losses() []store.Loss
	LossesDeclared([]store.Loss) error
}

// Pages is the page side, as the log side sees it. All methods are called with applier.turn and
// recent.Log.Mu held.
type Pages interface {
	// Take has pages told of an entry, which is the ring's newest and has the index at.
	Take(e *recent.Entry, at uint64)
	// Recorded has pages bootstrapped anew that lack what was recorded since; all pages, where
	// something was withheld from all.
	Recorded(withheld bool)
	// Outdated keeps what was read of the store up to now from being shared any longer.
	Outdated()
}

// Standing is what pages have to know of how the log stands.
type Standing struct {
	Full      bool // the disk is full: what comes is shown and not recorded
	Judging   bool // a loss of the log is being judged: its gap is declared later, and only here
	Rereading bool // the log of a new epoch is being read up to its end: rooms are not told what is known here

	Unrecorded bool   // some of what was shown is not recorded yet
	Since      uint64 // while Unrecorded: the index in the ring of the first entry that is not recorded
	Partial    bool   // the ring does not go back to Since any more
}
