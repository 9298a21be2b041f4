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

// What is written under one name comes to an open page, and is in the history, whatever
// the bus is.
func TestANumberThatIsPushedIsOnAnOpenPage(t *testing.T) {
	redis := redistest.Start(t, redistest.Options{})
	for _, args := range [][]string{
		{"--interval", "1h"},
		{"serve", "--bus", redis.URL},
	} {
		p := start(t, "program", append(args, "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0")...)
		p.untilReady()
		page := dial(t, p.url)
		var joined wire.Subscribed
		page.ask(wire.EventSubscribe, wire.Subscribe{Query: "room_celsius"}, &joined)
		page.next(wire.EventBootstrap)

		status, answer := sendText(t, p.url+"/api/v1/push/room_celsius?room=lab", "21.5")
		var said struct {
			Written int
			Show    string
		}
		if err := json.Unmarshal([]byte(answer), &said); err != nil || status != 200 || said.Written != 1 {
			t.Fatalf("%v: %d %s %v", args, status, answer, err)
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
			t.Errorf("%v: the page was sent %+v", args, update)
		}
		if status, answer := sendText(t, p.url+"/write?db=x", "room,room=lab humidity=40i"); status != 204 {
			t.Errorf("%v: line protocol: %d %s", args, status, answer)
		}
		eventually(t, "the line protocol's sample is in the history", func() bool {
			return fmt.Sprint(p.values(`room_humidity{room="lab"}`)) == "[40]"
		})
		link, err := url.Parse(said.Show)
		if err != nil {
			t.Fatal(err)
		}
		var got samples
		eventually(t, "the sample is in the history", func() bool {
			got = p.historyOf(link.Query().Get("chart"))
			return len(got) > 0
		})
		for at, v := range got {
			if age := time.Now().UnixMilli() - at; v != 21.5 || age < 0 || age > 60_000 {
				t.Errorf("%v: %v, %d ms ago", args, v, age)
			}
		}
		p.stop()
	}
}
