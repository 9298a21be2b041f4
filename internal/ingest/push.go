package ingest

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
	"stripchart/internal/httperr"
	"stripchart/internal/textline"
)

// PushPath is the path of text lines; the name of the series follows.
const PushPath = "/api/v1/push/"

// push is lines of text, as package textline reads them. The path names the series, and the
// query its labels.
type push struct {
	stamps *stamps
	accept func(now time.Time) acceptance
}

func (*push) name() string { return "push" }

// open implements format. The type of the body is not asked: curl -d says that it is a form.
func (f *push) open(r *http.Request) (exchange, answer) {
	x := &pushExchange{f: f, page: url.URL{Scheme: "http", Host: r.Host, Path: "/"}}
	if r.TLS != nil {
		x.page.Scheme = "https"
	}
	series := r.PathValue("name")
	bad := func(message string) (exchange, answer) {
		return x, answer{status: http.StatusBadRequest, code: "bad_request", message: "nothing was written: " + message}
	}
	if r.Method != http.MethodPost {
		return x, answer{status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: "this address takes numbers: POST them as lines, such as 21.5", allow: http.MethodPost}
	}
	if series == "" || strings.Contains(series, "/") {
		return x, answer{status: http.StatusNotFound, code: "not_found", message: "the path is " + PushPath + " and the name of the series, such as " + PushPath + "room_celsius"}
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return bad("the part behind ? is not made of pairs name=value: " + err.Error())
	}
	b := bus.NewLabelBuilder(bus.EndpointLabels())
	b.Add([]byte(model.MetricNameLabel), []byte(series))
	for name, values := range query {
		if name == model.MetricNameLabel {
			return bad("the name of the series stands in the path, not in " + model.MetricNameLabel)
		}
		for _, v := range values {
			b.Add([]byte(name), []byte(v))
		}
	}
	if x.labels, err = b.Labels(); err != nil {
		return bad(err.Error())
	}
	x.compression, err = textEncoding(r)
	if err != nil {
		return x, answer{status: http.StatusUnsupportedMediaType, code: "unsupported_encoding", message: "nothing was written: " + err.Error()}
	}
	return x, answer{}
}

// pushExchange is one request of push.
type pushExchange struct {
	plain
	f      *push
	page   url.URL       // as the writer called this server
	labels labels.Labels // of the series that a line of one number has
	shown  []labels.Labels
}

// maxShown bounds the charts in the link that an answer has.
const maxShown = 8

// decode implements exchange.
func (x *pushExchange) decode(body []byte, fixed labels.Labels) (*bus.Batch, Report, error) {
	g := newGathering(x.f.accept(time.Now()), fixed)
	for number := 1; len(body) > 0 && !g.enough(number, body); number++ {
		var line []byte
		line, body, _ = bytes.Cut(body, []byte{'\n'})
		l, errs := textline.Parse(line)
		for _, err := range errs {
			if errors.Is(err, textline.ErrTooMany) {
				g.report.lineError(number, refusedTooMany, err.Error)
				continue
			}
			g.cannotRead(number, err.Error)
		}
		for _, field := range l.Fields {
			s := g.find(number, []byte(field.Key), func(b *bus.LabelBuilder) { x.name(b, field.Key) })
			switch {
			case s == nil:
			case l.Timed:
				g.add(s, number, l.Time, field.Value)
			default:
				g.addNow(s, number, field.Value)
			}
		}
	}
	b, report := g.finish(x.f.stamps)
	for _, series := range b.Series[:min(len(b.Series), maxShown)] {
		x.shown = append(x.shown, series.Labels)
	}
	return b, report, nil
}

// name names the series of a key: NAME_key, with the labels of all.
func (x *pushExchange) name(b *bus.LabelBuilder, key string) {
	x.labels.Range(func(l labels.Label) {
		if l.Name == model.MetricNameLabel && key != "" {
			l.Value += "_" + key
		}
		b.Add([]byte(l.Name), []byte(l.Value))
	})
}

// pushed is the answer to a request that could be read.
type pushed struct {
	Error   *httperr.Error `json:"error,omitempty"`
	Written int            `json:"written"`
	Refused []refusedLine  `json:"refused,omitempty"`
	Show    string         `json:"show,omitempty"` // the page with what was written
}

// refusedLine says what of a line was refused, or of how many lines, where it does not say
// which.
type refusedLine struct {
	Line    int    `json:"line,omitempty"`
	Samples int    `json:"samples,omitempty"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// word implements exchange.
func (x *pushExchange) word(_ http.Header, out *outcome) answer {
	a := out.answer
	switch {
	case a.status == http.StatusNoContent && out.written == 0:
		return answer{status: http.StatusBadRequest, code: "empty", message: "nothing was written: the body has no number; send lines such as 21.5, or t=21.5 h=40"}
	case a.status == http.StatusNoContent:
		a.status = http.StatusOK
	case a.code != httpbus.CodeNotAllWritten:
		return a
	}
	said := pushed{Error: a.error(), Written: out.written, Refused: refusedLines(&out.report)}
	if out.written > 0 {
		said.Show = x.link()
	}
	a.body = said
	return a
}

// link returns the address of the page with the first series that were written.
func (x *pushExchange) link() string {
	u := x.page
	u.RawQuery = url.Values{"chart": selectors(x.shown)}.Encode()
	return u.String()
}

// selectors returns a selector of each series, as pages and Prometheus read it.
func selectors(series []labels.Labels) []string {
	all := make([]string, 0, len(series))
	for _, ls := range series {
		name, matchers := "", []string{}
		ls.Range(func(l labels.Label) {
			key := l.Name
			switch {
			case key == model.MetricNameLabel && model.LegacyValidation.IsValidMetricName(l.Value):
				name = l.Value
				return
			case !model.LegacyValidation.IsValidLabelName(key):
				key = strconv.Quote(key)
			}
			matchers = append(matchers, key+"="+strconv.Quote(l.Value))
		})
		if len(matchers) > 0 {
			name += "{" + strings.Join(matchers, ",") + "}"
		}
		all = append(all, name)
	}
	return all
}

// refusedLines lists what was refused: line by line as far as the report has lines, and
// otherwise how many samples for which reason.
func refusedLines(r *Report) []refusedLine {
	var all []refusedLine
	listed := map[string]int{}
	for _, l := range r.Lines {
		listed[l.Reason]++
		all = append(all, refusedLine{Line: l.Line, Reason: l.Reason, Message: l.Message})
	}
	for _, x := range r.Refused {
		if more := x.Samples - listed[x.Reason]; more > 0 {
			all = append(all, refusedLine{Samples: more, Reason: x.Reason, Message: x.First})
		}
	}
	return all
}
