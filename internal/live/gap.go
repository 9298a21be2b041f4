package live

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
)

// gap is a span of time in which samples may be missing; both ends are excluded.
// Immutable once declared.
type gap struct {
	from, to int64 // Unix ms
	reason   string
	source   string // whose batches are missing; empty: those of any
	series   *concern
}

// maxConcern is how many series a gap names. One of more series is declared for every
// series.
const maxConcern = 1 << 16

// concern is the series of a gap, by the stable hashes of their labels: 8 bytes a
// series, and nothing for another gap of the same series. A hash that two series share
// declares the gap for both. Immutable.
type concern struct {
	every    bool
	hashes   []uint64 // ascending
	sum, mix uint64   // with the number of hashes they tell two sets apart
}

// everySeries is the concern of a gap that does not name its series.
var everySeries = &concern{every: true}

// concernOf returns the set of series with the given hashes, which it takes over. None
// stands there twice.
func concernOf(hashes []uint64) *concern {
	if len(hashes) > maxConcern {
		return everySeries
	}
	slices.Sort(hashes)
	return newConcern(hashes)
}

// newConcern returns the set of the hashes, which ascend.
func newConcern(hashes []uint64) *concern {
	c := &concern{hashes: hashes}
	for _, x := range hashes {
		c.sum += x
		c.mix ^= x
	}
	return c
}

func (c *concern) equal(o *concern) bool {
	return c.every == o.every && len(c.hashes) == len(o.hashes) && c.sum == o.sum && c.mix == o.mix
}

// has reports whether the series with the hash is in the set.
func (c *concern) has(hash uint64) bool {
	if c.every {
		return true
	}
	_, there := slices.BinarySearch(c.hashes, hash)
	return there
}

// union returns the series of both.
func (c *concern) union(o *concern) *concern {
	switch {
	case c.equal(o), c.every:
		return c
	case o.every:
		return o
	}
	hashes := slices.Concat(c.hashes, o.hashes)
	slices.Sort(hashes)
	hashes = slices.Compact(hashes)
	if len(hashes) > maxConcern {
		return everySeries
	}
	return newConcern(slices.Clip(hashes))
}

// size is how many bytes text returns.
func (c *concern) size() int { return base64.StdEncoding.EncodedLen(8 * len(c.hashes)) }

// text returns the form of the set in store.Gaps.
func (c *concern) text() string {
	b := make([]byte, 0, 8*len(c.hashes))
	for _, x := range c.hashes {
		b = binary.BigEndian.AppendUint64(b, x)
	}
	return base64.StdEncoding.EncodeToString(b)
}

var errConcern = errors.New("not a list of series")

// parseConcern reads what text wrote.
func parseConcern(s string) (*concern, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b)%8 != 0 || len(b) > 8*maxConcern {
		return nil, errConcern
	}
	hashes := make([]uint64, 0, len(b)/8)
	for ; len(b) > 0; b = b[8:] {
		hashes = append(hashes, binary.BigEndian.Uint64(b))
	}
	slices.Sort(hashes)
	return newConcern(slices.Compact(hashes)), nil
}

// hashOf returns the hash of a series in a concern. It means the same after a restart.
func hashOf(ls labels.Labels) uint64 { return labels.StableHash(ls) }
