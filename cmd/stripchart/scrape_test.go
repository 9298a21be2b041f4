package main

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"stripchart/internal/bus/redisbus/redistest"
	"stripchart/internal/testkit"
)

// instant returns the values of an expression now, as the Prometheus HTTP API has them.
func (p *process) instant(query string) string {
	p.t.Helper()
	_, text := get(p.t, p.url+"/api/v1/query?"+url.Values{"query": {query}}.Encode())
	return text
}

// Our own /metrics is a metrics endpoint like any other: its series come to the page and the history of another
// program, whether that is collector and server in one, or a collector with Redis between.
func TestAMetricsEndpointIsReadAndEndsWithItsTarget(t *testing.T) {
	redis := redistest.Start(t, redistest.Options{})
	for _, alone := range []bool{true, false} {
		t.Run(fmt.Sprintf("alone=%v", alone), func(t *testing.T) {
			target := start(t, "program", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0")
			reads := []string{"--interval", "1h", "--scrape", target.url + ",name=other,interval=100ms"}
			var p *process
			if alone {
				p = start(t, "program", append(reads, "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0")...)
			} else {
				start(t, "program", append(reads, "collect", "--bus", redis.URL, "--data-dir", t.TempDir())...)
				p = start(t, "program", "serve", "--bus", redis.URL, "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0")
			}
			p.untilReady()
			instance := strings.TrimPrefix(target.url, "http://")
			series := fmt.Sprintf(`stripchart_batches_total{instance=%q,job="other"}`, instance)
			testkit.Eventually(t, "a counter of the target is in the history, and grows", func() bool {
				values := p.values(series)
				return len(values) > 2 && values[len(values)-1] > values[0]
			})
			testkit.Eventually(t, "the target is up", func() bool { return strings.Contains(p.instant(`up{job="other"}`), `,"1"]`) })
			target.kill9()
			testkit.Eventually(t, "the target is down", func() bool { return strings.Contains(p.instant(`up{job="other"}`), `,"0"]`) })
			if text := p.instant(series); !strings.Contains(text, `"result":[]`) {
				t.Errorf("a series goes on without its target: %s", text)
			}
		})
	}
}
