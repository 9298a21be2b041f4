package store

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// Loss is a span of time in which samples are missing for good because the files that
// held them were damaged, or may be.
type Loss struct {
	// From and To are Unix milliseconds; both are excluded.
	From int64 `json:"from"`
	To   int64 `json:"to"`
	// Series are those that it concerns; nil: any series, known or not.
	Series []labels.Labels `json:"series,omitempty"`
	// What happened, for people.
	What string `json:"what"`
}

// Equal reports whether both say that the same may be missing.
func (l Loss) Equal(x Loss) bool {
	return l.From == x.From && l.To == x.To && slices.EqualFunc(l.Series, x.Series, labels.Equal)
}

// warn writes the line that a user sees.
func (l Loss) warn(log *slog.Logger, dir string) {
	whose := "all"
	if l.Series != nil {
		whose = fmt.Sprint(len(l.Series))
	}
	log.Warn("samples may be missing, and pages are told of a gap: "+l.What, "dir", dir,
		"from", moment(l.From), "to", moment(l.To), "series", whose)
}

func moment(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

// Losses returns the losses that were found when the database was opened, by this process or
// an earlier one, and were not passed to LossesDeclared. An Append after a failed one opens
// the database again and may add losses. The caller must not change the result.
func (s *Store) Losses() []Loss {
	if ls := s.contents.losses.Load(); ls != nil {
		return *ls
	}
	return nil
}

// LossesDeclared removes losses from Losses, because the caller has declared them durably.
func (s *Store) LossesDeclared(ls []Loss) error {
	return s.contents.change(func(n *noted) {
		n.Lost = slices.DeleteFunc(n.Lost, func(l Loss) bool { return slices.ContainsFunc(ls, l.Equal) })
	})
}
