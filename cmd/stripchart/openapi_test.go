package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/prompb"

	"stripchart/internal/api"
	"stripchart/internal/ingest"
)

// described are requests for every operation of docs/openapi.yaml, with their status.
func described(t *testing.T) []struct {
	method, path, kind, body string
	status                   int
} {
	now := time.Now()
	write := prompb.WriteRequest{Timeseries: []prompb.TimeSeries{{Labels: []prompb.Label{{Name: "__name__", Value: "w"}}, Samples: []prompb.Sample{{Value: 1, Timestamp: now.UnixMilli()}}}}}
	b, err := write.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	const form, protobuf = "application/x-www-form-urlencoded", "application/x-protobuf"
	in := fmt.Sprintf("start=%d&end=%d&step=15", now.Unix()-60, now.Unix())
	return []struct {
		method, path, kind, body string
		status                   int
	}{
		{"POST", "/api/v1/push/room_celsius?room=lab", "text/plain", "21.5", 200},
		{"POST", "/api/v1/push/room_celsius", "text/plain", "21.5\nwarm\n", 400},
		{"POST", "/api/v1/push/room_celsius?__name__=x", "text/plain", "21.5", 400},
		{"POST", "/api/v1/write", protobuf, string(snappy.Encode(nil, b)), 204},
		{"POST", "/api/v1/write", protobuf, "x", 400},
		{"POST", "/write?db=x&precision=ns", "text/plain", "room,room=lab humidity=40i", 204},
		{"POST", "/write", "text/plain", "room humidity=\"x\"", 400},
		{"POST", "/api/v2/write?bucket=b&org=o", "text/plain", "room,room=lab noise=40i", 204},
		{"POST", "/api/v1/otlp/v1/metrics", "application/json", "{}", 200},
		{"POST", "/v1/metrics", "application/json", "{}", 200},
		{"GET", "/ping", "", "", 204},
		{"GET", "/health", "", "", 200},
		{"POST", "/query?q=CREATE+DATABASE+x", "", "", 200},
		{"GET", "/query?q=SHOW+DATABASES", "", "", 400},
		{"GET", "/api/v1/query?query=room_celsius", "", "", 200},
		{"GET", "/api/v1/query?query=room_celsius[1m]&stats=all&limit=1", "", "", 200},
		{"GET", "/api/v1/query?query=1&time=1.5", "", "", 200},
		{"GET", "/api/v1/query?query=%22text%22", "", "", 200},
		{"GET", "/api/v1/query?query=rate(", "", "", 400},
		{"GET", "/api/v1/query?query=label_replace({__name__=~%22room.*%7Cw%22},%22__name__%22,%22x%22,%22%22,%22%22)%2B1", "", "", 422},
		{"GET", "/api/v1/query?query=1&timeout=0", "", "", 503},
		{"POST", "/api/v1/query", form, "query=room_celsius", 200},
		{"GET", "/api/v1/query_range?query=room_celsius&" + in, "", "", 200},
		{"GET", "/api/v1/query_range?query=room_celsius&step=x&start=1&end=2", "", "", 400},
		{"POST", "/api/v1/query_range", form, "query=room_celsius&" + in, 200},
		{"GET", "/api/v1/series?match[]=room_celsius&limit=1", "", "", 200},
		{"GET", "/api/v1/series?match[]=room_celsius{", "", "", 400},
		{"POST", "/api/v1/series", form, "match[]=room_celsius", 200},
		{"GET", "/api/v1/labels", "", "", 200},
		{"GET", "/api/v1/labels?match[]=room_celsius&match[]=w", "", "", 200},
		{"POST", "/api/v1/labels", form, "match[]=room_celsius", 200},
		{"GET", "/api/v1/label/room/values", "", "", 200},
		{"GET", "/api/v1/label/room/values?start=x", "", "", 400},
		{"GET", "/api/v1/metadata", "", "", 200},
		{"GET", "/api/v1/format_query?query=a%2Bb", "", "", 200},
		{"POST", "/api/v1/format_query", form, "query=a", 200},
		{"GET", "/api/v1/parse_query?query=a%2Bb", "", "", 200},
		{"POST", "/api/v1/parse_query", form, "query=a", 200},
		{"GET", "/api/v1/query_exemplars", "", "", 200},
		{"POST", "/api/v1/query_exemplars", form, "query=a", 200},
		{"GET", "/api/v1/rules", "", "", 200},
		{"GET", "/api/v1/alerts", "", "", 200},
		{"GET", "/api/v1/status/buildinfo", "", "", 200},
		{"GET", "/api/v1/export?match[]=room_celsius", "", "", 200},
		{"GET", "/api/v1/export?match[]=room_celsius&format=jsonl", "", "", 200},
		{"GET", "/api/v1/export?match[]=room_celsius&format=openmetrics&times=unix_ms", "", "", 200},
		{"GET", "/api/v1/export?match[]=room_celsius&start=x", "", "", 400},
		{"GET", "/metrics", "", "", 200},
		{"GET", "/healthz", "", "", 200},
		{"GET", "/readyz", "", "", 200},
	}
}

// Every endpoint is in docs/openapi.yaml, and every operation there is answered by the real
// server as it says: status, headers, type and form of the body.
func TestTheServerAnswersAsItsDescriptionSays(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromFile("../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"application/openmetrics-text", "application/jsonl", "application/x-protobuf"} {
		openapi3filter.RegisterBodyDecoder(kind, openapi3filter.FileBodyDecoder)
		defer openapi3filter.UnregisterBodyDecoder(kind)
	}
	for _, path := range append(ingest.Paths(), api.Paths()...) {
		if path == ingest.PushPath {
			path += "{name}"
		}
		if doc.Paths.Value(path) == nil {
			t.Errorf("docs/openapi.yaml lacks %s", path)
		}
	}
	p := start(t, "program", "serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0")
	p.untilReady()
	doc.Servers = openapi3.Servers{{URL: p.url}}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]bool{}
	for _, c := range described(t) {
		r, err := http.NewRequest(c.method, p.url+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if c.kind != "" {
			r.Header.Set("Content-Type", c.kind)
		}
		if c.kind == "application/x-protobuf" {
			r.Header.Set("Content-Encoding", "snappy")
		}
		route, params, err := router.FindRoute(r)
		if err != nil {
			t.Errorf("%s %s is not described: %v", c.method, c.path, err)
			continue
		}
		in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: &openapi3filter.Options{IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}}
		if c.status/100 == 2 {
			if err := openapi3filter.ValidateRequest(t.Context(), in); err != nil {
				t.Errorf("%s %s: the request is not as described: %v", c.method, c.path, err)
			}
			r.Body = io.NopCloser(strings.NewReader(c.body))
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != c.status {
			t.Errorf("%s %s: %d %.300s, want %d", c.method, c.path, res.StatusCode, body, c.status)
		}
		asked[c.method+" "+route.Path] = true
		err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
			RequestValidationInput: in, Status: res.StatusCode, Header: res.Header, Body: io.NopCloser(bytes.NewReader(body)), Options: in.Options,
		})
		if err != nil {
			t.Errorf("%s %s: %d %.300s is not as described: %.500v", c.method, c.path, res.StatusCode, body, err)
		}
	}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			if !asked[method+" "+path] {
				t.Errorf("%s %s is described, and not tried here", method, path)
			}
		}
	}
	p.stop()
}

// With tokens, each operation but those without security is refused without one, as described.
func TestAServerWithTokensRefusesAsItsDescriptionSays(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromFile("../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	openapi3filter.RegisterBodyDecoder("application/x-protobuf", openapi3filter.FileBodyDecoder)
	defer openapi3filter.UnregisterBodyDecoder("application/x-protobuf")
	file := filepath.Join(t.TempDir(), "tokens")
	newToken(t, file, "agent", "--scope", "write")
	p := start(t, "program", "serve", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0", "--token-file", file)
	p.untilReady()
	doc.Servers = openapi3.Servers{{URL: p.url}}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range described(t) {
		r, err := http.NewRequest(c.method, p.url+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", c.kind)
		route, params, err := router.FindRoute(r)
		if err != nil {
			t.Fatal(err)
		}
		open := route.Operation.Security != nil && len(*route.Operation.Security) == 0
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if open != (res.StatusCode != 401) {
			t.Errorf("%s %s: %d %.300s", c.method, c.path, res.StatusCode, body)
		}
		options := &openapi3filter.Options{IncludeResponseStatus: true}
		err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
			RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: options},
			Status:                 res.StatusCode, Header: res.Header, Body: io.NopCloser(bytes.NewReader(body)), Options: options,
		})
		if err != nil {
			t.Errorf("%s %s: %d %.300s is not as described: %.500v", c.method, c.path, res.StatusCode, body, err)
		}
	}
	p.stop()
}
