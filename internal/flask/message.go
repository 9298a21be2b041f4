package flask

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"stripchart/internal/bus"
)

// Reasons for which a message, or a point of it, is not taken.
const (
	notUnderstood = "not_understood" // neither JSON nor a pickle of plain values
	notForAll     = "not_for_all"    // for one page, for a room, or with a callback
	otherEvent    = "other_event"    // no emit of update in namespace /
	otherShape    = "other_shape"    // the argument is not {'x': ..., 'y': ...}
	badTime       = "bad_time"
	badValue      = "bad_value"
	tooOld        = "too_old"
	tooNew        = "too_new"
	tooLarge      = "too_large"
)

// Event and namespace of the recipe.
const (
	updateEvent   = "update"
	rootNamespace = "/"
)

// maxMessage bounds the bytes of a message.
const maxMessage = 64 << 10

// refusal says why something is not taken.
type refusal struct {
	reason string
	says   string
}

func (e *refusal) Error() string { return e.says }

func refuse(reason, format string, a ...any) *refusal {
	return &refusal{reason, fmt.Sprintf(format, a...)}
}

// reader makes samples of messages.
type reader struct {
	zone          *time.Location
	behind, ahead time.Duration
}

// read returns the samples of a message that has just arrived, in its order, and what of it is not taken.
func (r *reader) read(payload []byte, now time.Time) ([]bus.Sample, []*refusal) {
	x, y, err := points(payload)
	if err != nil {
		return nil, []*refusal{err}
	}
	var samples []bus.Sample
	var refused []*refusal
	for i := range x {
		t, err := r.time(x[i], now)
		if err != nil {
			refused = append(refused, err)
			continue
		}
		v, there, err := number(y[i])
		if err != nil {
			refused = append(refused, err)
		} else if there {
			samples = append(samples, bus.Sample{T: t, V: v})
		}
	}
	return samples, refused
}

// points returns the times and values of a message.
func points(payload []byte) (x, y []any, _ *refusal) {
	if len(payload) > maxMessage {
		return nil, nil, refuse(tooLarge, "a message of %d bytes; at most %d are read", len(payload), maxMessage)
	}
	whole, err := decode(payload)
	m := entries(whole)
	if err == nil && m == nil {
		err = errors.New("it is no dictionary")
	}
	if err != nil {
		return nil, nil, refuse(notUnderstood, "a message that is no plain data of python-socketio: %v", err)
	}
	for key, want := range map[string]string{"method": "emit", "event": updateEvent, "namespace": rootNamespace} {
		if got, _ := m[key].(string); got != want && (key != "namespace" || m[key] != nil) {
			return nil, nil, refuse(otherEvent, "a message whose %s is %.60q, not %q", key, got, want)
		}
	}
	switch {
	case m["room"] != nil || m["callback"] != nil:
		return nil, nil, refuse(notForAll, "a message for one page or room")
	case m["binary"] == true:
		return nil, nil, refuse(otherShape, "a message with bytes in it")
	}
	data := m["data"]
	if args := elements(data); len(args) == 1 {
		data = args[0] // the list of arguments of newer versions
	}
	point := entries(data)
	px, there := point["x"]
	py, also := point["y"]
	if !there || !also {
		return nil, nil, refuse(otherShape, "an update without x and y")
	}
	x, y = elements(px), elements(py)
	if x == nil && y == nil {
		return []any{px}, []any{py}, nil
	}
	if len(x) != len(y) || x == nil || y == nil {
		return nil, nil, refuse(otherShape, "an update whose x and y are not lists of one length")
	}
	return x, y, nil
}

// decode reads a message in any of its forms; the first byte tells them apart.
func decode(b []byte) (v any, err error) {
	if len(b) == 0 || b[0] != '{' {
		return unpickle(b)
	}
	d := json.NewDecoder(bytes.NewReader(quoteWords(b)))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// quoteWords puts quotes around NaN, Infinity and -Infinity, which Python writes into JSON although
// JSON does not allow them.
func quoteWords(b []byte) []byte {
	var out []byte
	from, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '\\' && quoted:
			i++
		case b[i] == '"':
			quoted = !quoted
		case !quoted && (b[i] == 'N' || b[i] == 'I'):
			for _, word := range []string{"NaN", "Infinity"} {
				if !bytes.HasPrefix(b[i:], []byte(word)) {
					continue
				}
				start := i
				if start > 0 && b[start-1] == '-' {
					start--
				}
				i += len(word)
				out = append(append(append(append(out, b[from:start]...), '"'), b[start:i]...), '"')
				from = i
				i--
				break
			}
		}
	}
	if out == nil {
		return b
	}
	return append(out, b[from:]...)
}

// entries returns the entries of a dictionary; nil for anything else.
func entries(v any) map[string]any {
	switch v := v.(type) {
	case *dict:
		return v.items
	case map[string]any:
		return v
	}
	return nil
}

// elements returns the elements of a list or tuple, not nil; nil for anything else.
func elements(v any) []any {
	switch v := v.(type) {
	case *list:
		return append([]any{}, v.items...)
	case []any:
		return v
	}
	return nil
}

// number returns the value of a point; false without an error for None and NaN.
func number(v any) (float64, bool, *refusal) {
	var f float64
	switch v := v.(type) {
	case nil:
		return 0, false, nil
	case bool:
		if v {
			f = 1
		}
	case int64:
		f = float64(v)
	case float64:
		f = v
	case json.Number:
		f, _ = strconv.ParseFloat(string(v), 64) // one out of range is an infinity, as in Python
	case string:
		var err error
		if f, err = strconv.ParseFloat(strings.TrimSpace(v), 64); err != nil && !errors.Is(err, strconv.ErrRange) {
			return 0, false, refuse(badValue, "a value that is no number: %.60q", v)
		}
	default:
		return 0, false, refuse(badValue, "a value that is no number")
	}
	return f, !math.IsNaN(f), nil
}

// Forms of a time, with a space where there may be a T; Go reads fractions of seconds behind the seconds.
const wallTime = "2006-01-02 15:04:05"

var zonedTimes = []string{wallTime + "Z07:00", wallTime + "Z0700", wallTime + " Z07:00"}

// time returns the time of a point in Unix ms.
func (r *reader) time(v any, now time.Time) (int64, *refusal) {
	t, ok := now, false
	switch v := v.(type) {
	case int64:
		t, ok = unix(float64(v))
	case float64:
		t, ok = unix(v)
	case json.Number:
		if f, err := v.Float64(); err == nil {
			t, ok = unix(f)
		}
	case string:
		t, ok = r.parse(v, now)
	}
	switch ahead := t.Sub(now); {
	case !ok:
		return 0, refuse(badTime, "a time that cannot be read: %.60q; want the form %s, or Unix seconds", fmt.Sprint(v), wallTime)
	case ahead > r.ahead:
		return 0, refuse(tooNew, "the publisher's times lie %.0f s ahead of this machine: its clock or its zone differs (?zone=)", ahead.Seconds())
	case ahead < -r.behind:
		return 0, refuse(tooOld, "the publisher's times lie %.0f s back", -ahead.Seconds())
	}
	return t.UnixMilli(), nil
}

// unix reads Unix seconds, or milliseconds where seconds would lie thousands of years ahead.
func unix(f float64) (time.Time, bool) {
	const mostSeconds, mostMillis = 1e11, 1e14
	switch {
	case math.Abs(f) < mostSeconds:
		return time.UnixMilli(int64(math.Round(f * 1000))), true
	case math.Abs(f) < mostMillis:
		return time.UnixMilli(int64(math.Round(f))), true
	}
	return time.Time{}, false
}

// parse reads the text of a time that arrived now.
func (r *reader) parse(s string, now time.Time) (time.Time, bool) {
	if len(s) > 10 && s[10] == 'T' {
		s = s[:10] + " " + s[11:]
	}
	for _, form := range zonedTimes {
		if t, err := time.Parse(form, s); err == nil {
			return t, true
		}
	}
	wall, err := time.Parse(wallTime, s)
	if err != nil {
		return time.Time{}, false
	}
	// The zone has one offset, or two on the day of a change. Both offsets are tried.
	offset := func(at time.Time) time.Duration {
		_, seconds := at.In(r.zone).Zone()
		return time.Duration(seconds) * time.Second
	}
	before, after := offset(wall.Add(-24*time.Hour)), offset(wall.Add(24*time.Hour))
	first, second := wall.Add(-before), wall.Add(-after)
	isFirst, isSecond := offset(first) == before, offset(second) == after
	switch {
	case isFirst && isSecond: // the hour that comes twice, or no change
		if now.Sub(second).Abs() < now.Sub(first).Abs() {
			return second, true
		}
		return first, true
	case isSecond:
		return second, true
	}
	return first, true // also for a time in the hour that spring leaves out
}
