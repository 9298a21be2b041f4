package spool

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/prometheus/prometheus/tsdb/wlog"
)

// reader reads batches back from the log, for a sender that is behind. It
// belongs to one goroutine.
type reader struct {
	s       *Spool
	metrics *wlog.LiveReaderMetrics
	segment *segmentReader // nil: none is open
	index   int            // of segment
	ahead   *entry         // read and not taken yet
	floor   uint64         // up to here, what could not be read was counted
}

func newReader(s *Spool) *reader {
	return &reader{s: s, metrics: wlog.NewLiveReaderMetrics(nil)}
}

// reset closes what is open. The next call to next may then go back.
func (r *reader) reset() {
	if r.segment != nil {
		r.segment.close() // only read from
	}
	r.segment, r.ahead = nil, nil
}

// next returns the first batch after cursor and up to bound, which is the number of a batch
// that was written. It returns the same batch until taken is called, and nil if the log has
// none. Batches that are in the log but cannot be read are counted as dropped. An error is the
// file system's, and a later call may succeed.
func (r *reader) next(cursor, bound uint64) (*entry, error) {
	for cursor = max(cursor, min(r.floor, bound)); cursor < bound; {
		if r.ahead != nil {
			if r.ahead.seq > cursor {
				return r.ahead, nil
			}
			r.ahead = nil
		}
		if r.segment == nil {
			g, ok := r.s.segmentAfter(cursor)
			if !ok {
				return nil, nil
			}
			segment, err := openSegment(g.name(r.s.logDir), r.metrics)
			if errors.Is(err, os.ErrNotExist) {
				if again, ok := r.s.segmentAfter(cursor); ok && again.index == g.index {
					cursor = r.skip(g, cursor, bound, err)
				}
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("read spool: %w", err)
			}
			r.segment, r.index = segment, g.index
		}
		h, body, err := r.segment.next()
		switch {
		case err == nil && h.seq > bound:
			// Written, but its Append has not returned, and may yet take it back.
			r.reset()
			return nil, nil
		case err == nil && h.seq <= cursor:
		case err == nil:
			b, err := r.s.o.Decode(body)
			if err != nil {
				r.s.log.Error("a batch in the spool cannot be decoded", "seq", h.seq, "err", err)
				r.s.drop(h.merged+1, "damaged", "seq", h.seq)
				cursor, r.floor = h.seq, max(r.floor, h.seq)
				continue
			}
			b.Source, b.Seq, b.Merged = r.s.source, h.seq, h.merged
			r.ahead = &entry{header: h, batch: b, size: b.Size(), samples: b.Samples()}
		case errors.Is(err, io.EOF) || errors.Is(err, errDamaged):
			// Whatever stands behind the last batch that was written is a write that
			// failed. Only batches that were written can be missing.
			g, ok := r.s.segmentAfter(cursor)
			if ok && g.index == r.index {
				cursor = r.skip(g, cursor, bound, err)
			}
			r.reset()
		default:
			r.reset()
			return nil, fmt.Errorf("read spool: %w", err)
		}
	}
	return nil, nil
}

// skip gives up the rest of segment g and returns the cursor behind it.
func (r *reader) skip(g segment, cursor, bound uint64, err error) uint64 {
	end := min(g.last, bound)
	r.s.log.Error("batches in the spool cannot be read", "segment", g.name(r.s.logDir), "after", cursor, "to", end, "err", err)
	r.s.drop(end-max(cursor, g.first-1), "damaged", "segment", g.index)
	r.floor = max(r.floor, end)
	return end
}

// segmentAfter returns the segment that holds the first batch after seq.
func (s *Spool) segmentAfter(seq uint64) (segment, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segs {
		if g.records > 0 && g.last > seq {
			return g, true
		}
	}
	return segment{}, false
}
