package chaos

import (
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
)

// seriesOf returns the labels of series k of a source.
func seriesOf(source, k int) labels.Labels {
	return labels.FromStrings("__name__", everySource, "k", strconv.Itoa(k), "source", strconv.Itoa(source))
}

// Source runs a source of the harness.
func Source([]string) int { return 1 }

func (s *sourceProcess) lives() int { return 0 }
