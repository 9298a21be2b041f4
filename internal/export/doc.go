// Package export writes samples as CSV, JSON lines and OpenMetrics, and reads these back.
//
// Guarantees:
//
//  1. What an Encoder writes, a Decoder of the same format reads back: the same series, the
//     same milliseconds, and the same values bit by bit. OpenMetrics has one exception, see below.
//  2. Both need memory for one line, and for one run of samples, whatever the size of the file.
//  3. A Decoder fails at the first line that it cannot read, and names it. It passes over nothing.
//
// A run is samples of one series with ascending times. A series may have several runs.
//
// CSV is that of RFC 4180, one sample a line. The first two columns are time and value, and
// each further column is a label, whose name stands in the header. An empty field means that
// the series does not have this label.
//
//	time,value,__name__,host
//	2026-01-01T00:00:00.000Z,21.5,room_celsius,web1
//
// Spreadsheets take a field that begins with one of = + - @, a tab, a carriage return or a
// line feed for a formula. A label with such a value, or with such a value behind
// apostrophes, is written with one more apostrophe before it, which the Decoder takes away.
// Values of samples are numbers and have no apostrophe.
//
// JSON lines have a run of at most MaxRun samples a line, in the form in which VictoriaMetrics
// exports and imports:
//
//	{"metric":{"__name__":"room_celsius","host":"web1"},"values":[21.5,22],"timestamps":[1767225600000,1767225601000]}
//
// A value that is no finite number is a string, as in the Prometheus HTTP API: "NaN", "+Inf",
// "-Inf". A line may say instead what is missing, in the series or, without a metric, in all:
//
//	{"metric":{"__name__":"room_celsius","host":"web1"},"gap":{"from":1767225601000,"to":1767225609000,"reason":"log_lost"}}
//	{"warning":"history between ... is damaged on disk; samples there may be missing"}
//
// OpenMetrics is the text format, without types, help and units:
//
//	room_celsius{host="web1"} 21.5 1767225600.000
//	# EOF
//
// Values are the shortest decimals that read back as the same float64. Of the NaNs, of which
// there are many, "NaN" is the ordinary one. Prometheus's stale marker and all others are
// written with their bits, NaN(0x7ff0000000000002), in CSV and JSON lines. OpenMetrics
// has no place for that: there "nan" is the stale marker, and all others become the ordinary one.
package export
