package recent

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
)

// Gap is a span of time in which samples may be missing; both ends are excluded.
// Immutable once declared.
type Gap struct {
	From, To int64 // Unix ms
	Reason   string
	Source   string // the source whose batches are missing; empty: any source
	Series   *Concern
}

// MaxConcern is how many series a gap names at most. A gap of more series is declared for every
// series.
const MaxConcern = 1 << 16

// Concern is the set of series of a gap, by the stable hashes of their labels. It takes 8 bytes a
// series, and gaps of the same series share one set. Where two series have the same hash, the gap is
// declared for both. Immutable.
type Concern struct {
	Every    bool     // all series there are; hashes is empty then
	hashes   []uint64 // ascending
	sum, mix uint64   // together with the number of hashes they tell two sets apart
}

// EverySeries is the concern of a gap that does not name its series.
var EverySeries = &Concern{Every: true}

// ConcernOf returns the set of series with the given hashes. It takes the slice over, in which no
// hash occurs twice.
func ConcernOf(hashes []uint64) *Concern {
	if len(hashes) > MaxConcern {
		return EverySeries
	}
	slices.Sort(hashes)
	return NewConcern(hashes)
}

// NewConcern returns the set of the hashes, which ascend, each once. It takes the slice over.
func NewConcern(hashes []uint64) *Concern {
	c := &Concern{hashes: hashes}
	for _, x := range hashes {
		c.sum += x
		c.mix ^= x
	}
	return c
}

// Equal reports whether two sets are the same, as far as their sums tell.
func (c *Concern) Equal(o *Concern) bool {
	return c.Every == o.Every && len(c.hashes) == len(o.hashes) && c.sum == o.sum && c.mix == o.mix
}

// Has reports whether the series with the hash is in the set.
func (c *Concern) Has(hash uint64) bool {
	if c.Every {
		return true
	}
	_, there := slices.BinarySearch(c.hashes, hash)
	return there
}

// Union returns the series of both.
func (c *Concern) Union(o *Concern) *Concern {
	switch {
	case c.Equal(o), c.Every:
		return c
	case o.Every:
		return o
	}
	hashes := slices.Concat(c.hashes, o.hashes)
	slices.Sort(hashes)
	hashes = slices.Compact(hashes)
	if len(hashes) > MaxConcern {
		return EverySeries
	}
	return NewConcern(slices.Clip(hashes))
}

// Size is how many bytes Text returns.
func (c *Concern) Size() int { return base64.StdEncoding.EncodedLen(8 * len(c.hashes)) }

// Text returns the form of the set in store.Gaps.
func (c *Concern) Text() string {
	b := make([]byte, 0, 8*len(c.hashes))
	for _, x := range c.hashes {
		b = binary.BigEndian.AppendUint64(b, x)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// ErrConcern says that a text is no set of series.
var ErrConcern = errors.New("not a list of series")

// ParseConcern reads what Text wrote. The error is ErrConcern.
func ParseConcern(s string) (*Concern, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b)%8 != 0 || len(b) > 8*MaxConcern {
		return nil, ErrConcern
	}
	hashes := make([]uint64, 0, len(b)/8)
	for ; len(b) > 0; b = b[8:] {
		hashes = append(hashes, binary.BigEndian.Uint64(b))
	}
	slices.Sort(hashes)
	return NewConcern(slices.Compact(hashes)), nil
}

// Hash returns the hash of a series in a concern. It means the same after a restart.
func Hash(ls labels.Labels) uint64 { return labels.StableHash(ls) }
