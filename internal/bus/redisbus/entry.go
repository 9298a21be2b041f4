package redisbus

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"stripchart/internal/bus"
	"stripchart/internal/bus/rw"
)

// The fields of an entry; see the package comment.
const (
	fieldSource  = "s"
	fieldSeq     = "n"
	fieldMerged  = "m"
	fieldDropped = "d"
	fieldAfter   = "a"
	fieldBatch   = "b"
)

// xadd returns the command that appends b. payload is its series, encoded.
func xadd(key string, b *bus.Batch, payload []byte) []any {
	args := make([]any, 0, 15)
	args = append(args, "XADD", key, "*")
	if b.Source != "" {
		args = append(args, fieldSource, b.Source, fieldSeq, b.Seq)
		if b.Merged > 0 {
			args = append(args, fieldMerged, b.Merged)
		}
		if b.Dropped > 0 {
			args = append(args, fieldDropped, b.Dropped, fieldAfter, b.DroppedAfter)
		}
	}
	return append(args, fieldBatch, payload)
}

// readEntry returns the batch of an entry.
func readEntry(d *rw.Decoder, m redis.XMessage) (*bus.Batch, rw.Report, error) {
	field := func(name string) (string, bool) { v, ok := m.Values[name].(string); return v, ok }
	payload, ok := field(fieldBatch)
	if !ok {
		return nil, rw.Report{}, fmt.Errorf("no field %q", fieldBatch)
	}
	var head bus.Sequence
	head.Source, _ = field(fieldSource)
	for name, to := range map[string]*uint64{fieldSeq: &head.Seq, fieldMerged: &head.Merged, fieldDropped: &head.Dropped} {
		if text, ok := field(name); ok {
			var err error
			if *to, err = strconv.ParseUint(text, 10, 64); err != nil {
				return nil, rw.Report{}, fmt.Errorf("field %q is not a number", name)
			}
		}
	}
	if text, ok := field(fieldAfter); ok {
		var err error
		if head.DroppedAfter, err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, rw.Report{}, fmt.Errorf("field %q is not a time", fieldAfter)
		}
	}
	if err := head.Check(); err != nil {
		return nil, rw.Report{}, err
	}
	b, report, err := d.Decode([]byte(payload))
	if err != nil {
		return nil, rw.Report{}, err
	}
	b.Sequence = head
	return b, report, nil
}

// fingerprint distinguishes an entry from another one with the same ID, as
// fingerprintScript does. The end of the payload is enough: the newest values are there.
func fingerprint(m redis.XMessage) string {
	field := func(name string) string { v, _ := m.Values[name].(string); return v }
	b := field(fieldBatch)
	h := sha1.New()
	_, _ = fmt.Fprintf(h, "%s %s %s %d %s", field(fieldSource), field(fieldSeq), field(fieldMerged), len(b), b[max(0, len(b)-4096):]) // it never fails
	return hex.EncodeToString(h.Sum(nil))
}

// parseID reads an entry's ID.
func parseID(id string) (o bus.Offset, err error) {
	ms, seq, _ := strings.Cut(id, "-")
	if o.Ms, err = strconv.ParseInt(ms, 10, 64); err == nil {
		o.Seq, err = strconv.ParseUint(seq, 10, 64)
	}
	if err != nil {
		return bus.Offset{}, fmt.Errorf("entry ID %.60q is not a time and a counter", id)
	}
	return o, nil
}

func formatID(o bus.Offset) string {
	return strconv.FormatInt(o.Ms, 10) + "-" + strconv.FormatUint(o.Seq, 10)
}
