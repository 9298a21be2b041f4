package api

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"stripchart/internal/bus"
	"stripchart/internal/store"
)

func TestGrafanaIsAnsweredAsItExpects(t *testing.T) {
	const at = 1795788838_000
	v := serve(t, store.Options{}, Options{})
	for i := range int64(90) {
		s := bus.Sample{T: at - 90_000 + i*1000, V: 1.5}
		v.append(t, labels.FromStrings("__name__", "load1", "host", "vm"), s)
		v.append(t, labels.FromStrings("__name__", "load1", "host", "web"), bus.Sample{T: s.T, V: 2.5})
		v.append(t, labels.FromStrings("__name__", "k8s_load", "k8s.pod", "p-1"), s)
		v.append(t, labels.FromStrings("__name__", "seconds_bucket", "le", "0.5"), bus.Sample{T: s.T, V: float64(i)})
		v.append(t, labels.FromStrings("__name__", "seconds_bucket", "le", "+Inf"), bus.Sample{T: s.T, V: float64(2 * i)})
	}
	fixture, err := os.ReadFile("testdata/grafana.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(fixture)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		n++
		request, wanted, _ := strings.Cut(line, " -> ")
		method, target, _ := strings.Cut(request, " ")
		path, query, _ := strings.Cut(target, "?")
		status, body, _ := strings.Cut(wanted, " ")
		parameters, err := url.ParseQuery(query)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		r := get(path, parameters)
		if method == http.MethodPost {
			r = post(path, parameters)
		}
		w := v.do(r)
		if strconv.Itoa(w.Code) != status {
			t.Errorf("%s: status %d", line, w.Code)
		}
		if pattern, is := strings.CutPrefix(body, "/"); is {
			if !regexp.MustCompile(strings.TrimSuffix(pattern, "/")).MatchString(w.Body.String()) {
				t.Errorf("%s: got %s", line, w.Body)
			}
		} else if w.Body.String() != body {
			t.Errorf("%s: got %s", line, w.Body)
		}
	}
	if n < 30 {
		t.Errorf("only %d requests", n)
	}
}

// The version that is told to Grafana is that of the engine.
func TestVersionIsThatOfTheEngine(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	// Version 3.15.0 is the module's 0.315.0.
	var major, minor, patch int
	if _, err := fmt.Sscanf(engineVersion, "%d.%d.%d", &major, &minor, &patch); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("github.com/prometheus/prometheus v0.%d%02d.%d\n", major, minor, patch); !strings.Contains(string(mod), want) {
		t.Errorf("go.mod has no %q", want)
	}
}
