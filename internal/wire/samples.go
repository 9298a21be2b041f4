package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
)

// Why a bootstrap was sent.
const (
	ReasonJoin   = "join"
	ReasonResume = "resume"
	ReasonSlow   = "slow"
	ReasonLost   = "lost"
)

// Bootstrap is the history that a viewer is sent on joining, or one part of it.
type Bootstrap struct {
	Room     string       `json:"room"`
	From     *string      `json:"from"`               // nil: replaces what the page has
	Position string       `json:"position,omitempty"` // in the last part only
	Now      int64        `json:"now"`
	Series   []Descriptor `json:"series,omitempty"` // in the first part only
	Blocks   []Block      `json:"blocks"`
	More     bool         `json:"more,omitempty"`
	Reason   string       `json:"reason"`
}

// Update is the new samples of a room.
type Update struct {
	Room     string       `json:"room"`
	Position string       `json:"position"`
	Now      int64        `json:"now"`
	Blocks   []Block      `json:"blocks"`
	Series   []Descriptor `json:"series,omitempty"`
	Gone     []int        `json:"gone,omitempty"`
	Matched  *int         `json:"matched,omitempty"`
}

// HistoryAnswer answers History.
type HistoryAnswer struct {
	OK      bool         `json:"ok"`
	From    int64        `json:"from"`
	To      int64        `json:"to"`
	Now     int64        `json:"now"`
	Matched int          `json:"matched"`
	Series  []Descriptor `json:"series"`
	Blocks  []Block      `json:"blocks"`
	Gaps    []Gap        `json:"gaps,omitempty"`
}

// Descriptor gives a series its id in the room.
type Descriptor struct {
	ID         int           `json:"id"`
	Labels     labels.Labels `json:"labels"`
	IntervalMS int64         `json:"interval_ms"` // 0: unknown
}

// Block holds the series that share times: raw (X) or downsampled (Step > 0).
type Block struct {
	IDs  []int    `json:"ids"`
	X    []int64  `json:"x,omitempty"`    // Unix ms, strictly ascending
	X0   int64    `json:"x0,omitempty"`   // Unix ms, multiple of Step
	Step int64    `json:"step,omitempty"` // ms
	Y    []Values `json:"y"`              // one row per id
}

// Values are numbers in which JSON's null stands for NaN and the infinities.
type Values []float64

// AppendJSON appends the message to dst.
func (m *Bootstrap) AppendJSON(dst []byte) []byte {
	return AppendReason(m.AppendOpen(dst), m.Reason)
}

// Restamp returns a copy of what AppendOpen made, with another time in `now`. It
// has room for the reason.
func Restamp(open []byte, now int64) []byte {
	const field = `"now":`
	// Neither a room's id nor a position can contain the field's name, and
	// everything else that could comes after it.
	i := bytes.Index(open, []byte(field)) + len(field)
	n := bytes.IndexByte(open[i:], ',')
	out := make([]byte, 0, len(open)+32)
	out = append(out, open[:i]...)
	out = strconv.AppendInt(out, now, 10)
	return append(out, open[i+n:]...)
}

// AppendReason appends what AppendOpen left out. One bootstrap is sent for
// several reasons, and all but the end is the same.
func AppendReason(dst []byte, reason string) []byte {
	dst = append(dst, `,"reason":`...)
	dst = appendString(dst, reason)
	return append(dst, '}')
}

// AppendOpen appends the message to dst, but for its reason and its end.
func (m *Bootstrap) AppendOpen(dst []byte) []byte {
	return m.AppendOpenWith(dst, AppendBlocks(nil, m.Blocks))
}

// AppendOpenWith is AppendOpen with blocks that are encoded already.
func (m *Bootstrap) AppendOpenWith(dst, blocks []byte) []byte {
	dst = append(dst, `{"room":`...)
	dst = appendString(dst, m.Room)
	dst = append(dst, `,"from":`...)
	if m.From == nil {
		dst = append(dst, "null"...)
	} else {
		dst = appendString(dst, *m.From)
	}
	if m.Position != "" {
		dst = append(dst, `,"position":`...)
		dst = appendString(dst, m.Position)
	}
	dst = append(dst, `,"now":`...)
	dst = strconv.AppendInt(dst, m.Now, 10)
	if m.Series != nil {
		dst = append(dst, `,"series":`...)
		dst = appendDescriptors(dst, m.Series)
	}
	dst = append(dst, `,"blocks":`...)
	dst = append(dst, blocks...)
	if m.More {
		dst = append(dst, `,"more":true`...)
	}
	return dst
}

// AppendJSON appends the message to dst.
func (m *Update) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"room":`...)
	dst = appendString(dst, m.Room)
	dst = append(dst, `,"position":`...)
	dst = appendString(dst, m.Position)
	dst = append(dst, `,"now":`...)
	dst = strconv.AppendInt(dst, m.Now, 10)
	dst = append(dst, `,"blocks":`...)
	dst = AppendBlocks(dst, m.Blocks)
	if len(m.Series) > 0 {
		dst = append(dst, `,"series":`...)
		dst = appendDescriptors(dst, m.Series)
	}
	if len(m.Gone) > 0 {
		dst = append(dst, `,"gone":`...)
		dst = appendInts(dst, m.Gone)
	}
	if m.Matched != nil {
		dst = append(dst, `,"matched":`...)
		dst = strconv.AppendInt(dst, int64(*m.Matched), 10)
	}
	return append(dst, '}')
}

// AppendJSON appends the message to dst.
func (m *HistoryAnswer) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"ok":true,"from":`...)
	dst = strconv.AppendInt(dst, m.From, 10)
	dst = append(dst, `,"to":`...)
	dst = strconv.AppendInt(dst, m.To, 10)
	dst = append(dst, `,"now":`...)
	dst = strconv.AppendInt(dst, m.Now, 10)
	dst = append(dst, `,"matched":`...)
	dst = strconv.AppendInt(dst, int64(m.Matched), 10)
	dst = append(dst, `,"series":`...)
	dst = appendDescriptors(dst, m.Series)
	dst = append(dst, `,"blocks":`...)
	dst = AppendBlocks(dst, m.Blocks)
	if len(m.Gaps) > 0 {
		b, err := json.Marshal(m.Gaps)
		if err != nil {
			panic(fmt.Sprintf("wire: gaps: %v", err)) // numbers and a word
		}
		dst = append(append(dst, `,"gaps":`...), b...)
	}
	return append(dst, '}')
}

// AppendBlocks appends a JSON array of blocks to dst.
func AppendBlocks(dst []byte, blocks []Block) []byte {
	dst = append(dst, '[')
	for i := range blocks {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = blocks[i].appendJSON(dst)
	}
	return append(dst, ']')
}

func (b *Block) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"ids":`...)
	dst = appendInts(dst, b.IDs)
	if b.Step > 0 {
		dst = append(dst, `,"x0":`...)
		dst = strconv.AppendInt(dst, b.X0, 10)
		dst = append(dst, `,"step":`...)
		dst = strconv.AppendInt(dst, b.Step, 10)
	} else {
		dst = append(dst, `,"x":`...)
		dst = appendInts(dst, b.X)
	}
	dst = append(dst, `,"y":[`...)
	for i, row := range b.Y {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '[')
		for j, v := range row {
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = AppendFloat(dst, v)
		}
		dst = append(dst, ']')
	}
	return append(dst, ']', '}')
}

func appendDescriptors(dst []byte, ds []Descriptor) []byte {
	dst = append(dst, '[')
	for i := range ds {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"id":`...)
		dst = strconv.AppendInt(dst, int64(ds[i].ID), 10)
		dst = append(dst, `,"labels":`...)
		dst = appendLabels(dst, ds[i].Labels)
		dst = append(dst, `,"interval_ms":`...)
		dst = strconv.AppendInt(dst, ds[i].IntervalMS, 10)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func appendLabels(dst []byte, ls labels.Labels) []byte {
	dst = append(dst, '{')
	first := true
	ls.Range(func(l labels.Label) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = appendString(dst, l.Name)
		dst = append(dst, ':')
		dst = appendString(dst, l.Value)
	})
	return append(dst, '}')
}

func appendInts[T int | int64](dst []byte, xs []T) []byte {
	dst = append(dst, '[')
	for i, x := range xs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(x), 10)
	}
	return append(dst, ']')
}

// appendString appends s as JSON. Strings are rare beside numbers, and label
// values may hold anything, so the escaping is the library's.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return append(dst, encodeString(s)...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}

func encodeString(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return []byte(`""`) // cannot happen: every string has a JSON form
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// AppendFloat appends v in the shortest form that reads back as v; null for NaN
// and the infinities.
func AppendFloat(dst []byte, v float64) []byte {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return append(dst, "null"...)
	case v == math.Trunc(v) && math.Abs(v) < 1e15 && (v != 0 || !math.Signbit(v)):
		return strconv.AppendInt(dst, int64(v), 10)
	case math.Abs(v) >= 1e-6 && math.Abs(v) < 1e21:
		return strconv.AppendFloat(dst, v, 'f', -1, 64)
	default:
		return strconv.AppendFloat(dst, v, 'e', -1, 64)
	}
}

// UnmarshalJSON reads null as NaN. b is valid JSON.
func (v *Values) UnmarshalJSON(b []byte) error {
	inner, ok := bytes.CutPrefix(b, []byte("["))
	if !ok {
		return fmt.Errorf("%s is no list of numbers", b)
	}
	inner = bytes.TrimSpace(bytes.TrimSuffix(inner, []byte("]")))
	*v = make(Values, 0, bytes.Count(inner, []byte(","))+1)
	if len(inner) == 0 {
		return nil
	}
	for x := range bytes.SplitSeq(inner, []byte(",")) {
		f := math.NaN()
		if x = bytes.TrimSpace(x); string(x) != "null" {
			var err error
			if f, err = strconv.ParseFloat(string(x), 64); err != nil {
				return err
			}
		}
		*v = append(*v, f)
	}
	return nil
}
