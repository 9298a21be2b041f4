package wire

import (
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
		layout := `"2006-01-02 15:04:05"`
		if s.T%1000 != 0 {
			layout = `"2006-01-02 15:04:05.000"`
		}
		dst = time.UnixMilli(s.T).In(zone).AppendFormat(dst, layout)
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
