package ingest

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"google.golang.org/protobuf/encoding/protowire"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
)

// Paths of OTLP: that of Prometheus, and that of exporters that are given an address alone.
const (
	otlpPath1 = "/api/v1/otlp/v1/metrics"
	otlpPath2 = "/v1/metrics"
)

// otlp is the OpenTelemetry protocol over HTTP, in protobuf or JSON.
type otlp struct {
	accept func(now time.Time) acceptance
	stamps *stamps
	totals *totals
}

func (*otlp) name() string { return "otlp" }

// open implements format.
func (f *otlp) open(r *http.Request) (exchange, answer) {
	x := &otlpExchange{f: f}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	x.json = media == "application/json"
	switch {
	case r.Method != http.MethodPost:
		return x, answer{status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: "this address takes writes: POST metrics of OTLP", allow: http.MethodPost}
	case err != nil || !x.json && media != "application/x-protobuf":
		return x, answer{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", message: "want Content-Type: application/x-protobuf, or application/json"}
	}
	if x.compression, err = textEncoding(r); err != nil {
		return x, answer{status: http.StatusUnsupportedMediaType, code: "unsupported_encoding", message: err.Error()}
	}
	return x, answer{}
}

// otlpExchange is one request of OTLP.
type otlpExchange struct {
	plain
	f    *otlp
	json bool
}

// decode implements exchange.
func (x *otlpExchange) decode(body []byte, fixed labels.Labels) (*bus.Batch, Report, error) {
	if x.json && !json.Valid(body) {
		return nil, Report{}, errOTLPJSON
	}
	message := otlpValue{json: x.json, raw: body}
	if x.json {
		message.raw = body[skipSpace(body, 0):]
	}
	d := newOTLPDecoder(newGathering(x.f.accept(time.Now()), fixed), x.f.totals)
	d.gathering.report.Unit = "data point"
	if err := d.request(message); err != nil {
		return nil, Report{}, err
	}
	b, report := d.gathering.finish(x.f.stamps)
	report.Histograms = d.exponential
	return b, report, nil
}

// word implements exchange. A request that was written in part is a success with words, and an error has the form of
// google.rpc.Status. Exporters send again after 429, 502, 503 and 504 alone.
func (x *otlpExchange) word(_ http.Header, out *outcome) answer {
	a := out.answer
	if a.status == http.StatusInsufficientStorage {
		a.status = http.StatusServiceUnavailable
	}
	if a.status == http.StatusNoContent || a.code == httpbus.CodeNotAllWritten {
		a.status = http.StatusOK
		rejected := out.report.Histograms
		for _, r := range out.report.Refused {
			rejected += r.Samples
		}
		message := ""
		if rejected > 0 {
			message = a.error().Message
		}
		a.code, a.media, a.raw = "", x.media(), x.response(rejected, message)
		return a
	}
	a.raw, a.media = otlpStatus(x.json, a.status, *a.error())
	return a
}

func (x *otlpExchange) media() string {
	if x.json {
		return "application/json"
	}
	return "application/x-protobuf"
}

// response returns an ExportMetricsServiceResponse, which is empty when everything was written.
func (x *otlpExchange) response(rejected int, message string) []byte {
	if x.json {
		if rejected == 0 {
			return []byte("{}")
		}
		b, _ := json.Marshal(map[string]any{"partialSuccess": map[string]any{"rejectedDataPoints": fmt.Sprint(rejected), "errorMessage": message}}) // of text, it cannot fail
		return b
	}
	if rejected == 0 {
		return []byte{}
	}
	partial := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(rejected))
	partial = protowire.AppendString(protowire.AppendTag(partial, 2, protowire.BytesType), message)
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), partial)
}

// grpcCode returns the code of google.rpc.Code for a status.
func grpcCode(status int) int {
	switch status {
	case http.StatusTooManyRequests:
		return 8 // RESOURCE_EXHAUSTED
	case http.StatusServiceUnavailable:
		return 14 // UNAVAILABLE
	case http.StatusUnauthorized:
		return 16 // UNAUTHENTICATED
	case http.StatusForbidden:
		return 7 // PERMISSION_DENIED
	}
	return 3 // INVALID_ARGUMENT
}
