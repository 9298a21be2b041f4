package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"stripchart/internal/bus/redisbus/redistest"
	"stripchart/internal/testkit"
	"stripchart/internal/wire"
)

// sendText sends a body as curl -d does, and returns the answer.
func sendText(t testing.TB, url, body string) (status int, answer string) {
	t.Helper()
	r, err := http.Post(url, "application/x-www-form-urlencoded", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

// onEachBus runs a test with the program and its own bus, and with a server on Redis. The
// program collects nothing while the test runs.
func onEachBus(t *testing.T, test func(*testing.T, *process)) {
	redis := redistest.Start(t, redistest.Options{})
	for name, args := range map[string][]string{
		"own bus": {"--interval", "1h"},
		"Redis":   {"serve", "--bus", redis.URL},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, "program", append(args, "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0")...)
			p.untilReady()
			test(t, p)
			p.stop()
		})
	}
}

// watch returns a page that has joined the room of a query.
func watch(t *testing.T, p *process, query string) *client {
	t.Helper()
	page := dial(t, p.url)
	var joined wire.Subscribed
	page.ask(wire.EventSubscribe, wire.Subscribe{Query: query}, &joined)
	page.next(wire.EventBootstrap)
	return page
}

// A number that is pushed comes to an open page and is in the history, whatever the bus is.
func TestANumberThatIsPushedIsOnAnOpenPage(t *testing.T) {
	onEachBus(t, func(t *testing.T, p *process) {
		page := watch(t, p, "room_celsius")
		status, answer := sendText(t, p.url+"/api/v1/push/room_celsius?room=lab", "21.5")
		var said struct {
			Written int
			Show    string
		}
		if err := json.Unmarshal([]byte(answer), &said); err != nil || status != 200 || said.Written != 1 {
			t.Fatalf("%d %s %v", status, answer, err)
		}
		var update struct {
			Series []struct{ Labels map[string]string }
			Blocks []struct {
				X []int64
				Y [][]float64
			}
		}
		if err := json.Unmarshal(page.next(wire.EventUpdate), &update); err != nil {
			t.Fatal(err)
		}
		if len(update.Series) != 1 || update.Series[0].Labels["room"] != "lab" || len(update.Blocks) != 1 || update.Blocks[0].Y[0][0] != 21.5 {
			t.Errorf("the page was sent %+v", update)
		}
		if status, answer := sendText(t, p.url+"/write?db=x", "room,room=lab humidity=40i"); status != 204 {
			t.Errorf("line protocol: %d %s", status, answer)
		}
		testkit.Eventually(t, "the line protocol's sample is in the history", func() bool {
			return fmt.Sprint(p.values(`room_humidity{room="lab"}`)) == "[40]"
		})
		otlp := fmt.Sprintf(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"room.noise","unit":"dB","gauge":{"dataPoints":[{"timeUnixNano":"%d","asDouble":33.5}]}}]}]}]}`, time.Now().UnixNano())
		r, err := http.Post(p.url+"/v1/metrics", "application/json", strings.NewReader(otlp))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != 200 {
			t.Errorf("OTLP: %d", r.StatusCode)
		}
		testkit.Eventually(t, "OTLP's sample is in the history", func() bool { return fmt.Sprint(p.values("room_noise_dB")) == "[33.5]" })
		link, err := url.Parse(said.Show)
		if err != nil {
			t.Fatal(err)
		}
		var got samples
		testkit.Eventually(t, "the sample is in the history", func() bool {
			got = p.historyOf(link.Query().Get("chart"))
			return len(got) > 0
		})
		for at, v := range got {
			if age := time.Now().UnixMilli() - at; v != 21.5 || age < 0 || age > 60_000 {
				t.Errorf("%v, %d ms ago", v, age)
			}
		}
	})
}
