package api

import (
	"cmp"
	"encoding/json"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"go.uber.org/goleak"

	"stripchart/internal/bus"
	"stripchart/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// base is when the tests' samples begin: 2026-01-01 00:00 UTC, Unix ms.
const base int64 = 1767225600000

// served is an API over a store of its own.
type served struct {
	*http.ServeMux
	api   *API
	store *store.Store
}

func serve(t testing.TB, so store.Options, o Options) *served {
	t.Helper()
	so.Dir, so.ReserveBytes = t.TempDir(), cmp.Or(so.ReserveBytes, -1)
	s, err := store.Open(so)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	o.Store, o.Log, o.Registry = s, slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry()
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	v := &served{http.NewServeMux(), a, s}
	a.Register(v.Handle)
	return v
}

func (v *served) append(t testing.TB, ls labels.Labels, samples ...bus.Sample) {
	t.Helper()
	if err := v.store.Append([]store.Row{{Labels: ls, Samples: samples}}); err != nil {
		t.Fatal(err)
	}
}

func (v *served) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	v.ServeHTTP(w, r)
	return w
}

func get(path string, form url.Values) *http.Request {
	return httptest.NewRequest(http.MethodGet, "/api/v1/"+path+"?"+form.Encode(), nil)
}

func post(path string, form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// form makes parameters of a list name, value, name, value.
func form(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

// answer is Prometheus's envelope.
type answer struct {
	Status    string          `json:"status"`
	Data      json.RawMessage `json:"data"`
	ErrorType string          `json:"errorType"`
	Error     string          `json:"error"`
	Warnings  []string        `json:"warnings"`
	Infos     []string        `json:"infos"`
}

func (v *served) answer(t testing.TB, r *http.Request) (status int, a answer) {
	t.Helper()
	w := v.do(r)
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("%s %s: status %d, %q is no JSON: %v", r.Method, r.URL, w.Code, w.Body, err)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("%s: content type %q", r.URL, got)
	}
	return w.Code, a
}

// point is a sample as it was written in an answer.
type point struct {
	t int64
	v float64
}

func (p *point) UnmarshalJSON(b []byte) error {
	var pair [2]json.RawMessage
	if err := json.Unmarshal(b, &pair); err != nil {
		return err
	}
	seconds, err := strconv.ParseFloat(string(pair[0]), 64)
	if err != nil {
		return err
	}
	var text string
	if err := json.Unmarshal(pair[1], &text); err != nil {
		return err
	}
	p.t = int64(math.Round(seconds * 1000))
	p.v, err = strconv.ParseFloat(text, 64)
	return err
}

type metricPoints struct {
	Metric map[string]string `json:"metric"`
	Value  point             `json:"value"`
	Values []point           `json:"values"`
}

type queryData struct {
	ResultType string          `json:"resultType"`
	Result     json.RawMessage `json:"result"`
}

// series reads a vector or a matrix.
func (v queryData) series(t testing.TB) (out []metricPoints) {
	t.Helper()
	if err := json.Unmarshal(v.Result, &out); err != nil {
		t.Fatalf("%s: %v", v.Result, err)
	}
	return out
}

// value asks for data that must come.
func (v *served) value(t testing.TB, r *http.Request) (out queryData) {
	t.Helper()
	status, a := v.answer(t, r)
	if status != http.StatusOK || a.Status != success {
		t.Fatalf("%s: status %d, %s: %s", r.URL, status, a.ErrorType, a.Error)
	}
	if err := json.Unmarshal(a.Data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func ms(t int64) string { return string(appendTime(nil, t)) }
