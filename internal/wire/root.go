package wire

import (
	"strconv"
	"time"

	"stripchart/internal/bus"
)

// AppendRoot appends the argument of namespace /'s `bootstrap` and `update`
// to dst: {"x":[times],"y":[values]}, times in zone, with milliseconds where
// they are not whole seconds.
func AppendRoot(dst []byte, samples []bus.Sample, zone *time.Location) []byte {
	dst = append(dst, `{"x":[`...)
	for i, s := range samples {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendRootTime(dst, s.T, zone)
	}
	dst = append(dst, `],"y":[`...)
	for i, s := range samples {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendFloat(dst, s.V)
	}
	return append(dst, `]}`...)
}

// AppendRootGap appends the argument of namespace /'s `gap` to dst: {"from":time,"to":time,"reason":"..."}.
// Pages of the recipe do not know the event.
func AppendRootGap(dst []byte, g *Gap, zone *time.Location) []byte {
	dst = appendRootTime(append(dst, `{"from":`...), g.From, zone)
	dst = appendRootTime(append(dst, `,"to":`...), g.To, zone)
	dst = strconv.AppendQuote(append(dst, `,"reason":`...), g.Reason)
	return append(dst, '}')
}

// appendRootTime appends t, Unix ms, as a JSON string in zone, with milliseconds where it is no whole second.
func appendRootTime(dst []byte, t int64, zone *time.Location) []byte {
	layout := `"2006-01-02 15:04:05"`
	if t%1000 != 0 {
		layout = `"2006-01-02 15:04:05.000"`
	}
	return time.UnixMilli(t).In(zone).AppendFormat(dst, layout)
}
