package ingest

import (
	"net/http"
	"strings"
	"time"
)

// Paths that agents of InfluxDB ask before they write.
const (
	InfluxPing   = "/ping"
	InfluxHealth = "/health"
	InfluxQuery  = "/query"
)

// influxVersion is the version of InfluxDB 1.x of which agents and clients are told: some will
// not write to a server that names none.
const influxVersion = "1.8.10"

// ping answers GET /ping as InfluxDB does.
func (e *Endpoint) ping(w http.ResponseWriter, r *http.Request) {
	if a := onlyGet(r); a.status != 0 {
		a.send(w)
		return
	}
	w.Header().Set("X-Influxdb-Version", influxVersion)
	w.Header().Set("X-Influxdb-Build", "Stripchart")
	if r.URL.Query().Has("verbose") {
		answer{status: http.StatusOK, body: map[string]string{"version": influxVersion}}.send(w)
		return
	}
	answer{status: http.StatusNoContent}.send(w)
}

// health answers GET /health as InfluxDB does.
func (e *Endpoint) health(w http.ResponseWriter, r *http.Request) {
	a := onlyGet(r)
	switch {
	case a.status != 0:
	case e.o.Writable() != nil:
		a = answer{status: http.StatusServiceUnavailable, body: map[string]string{"name": "stripchart", "status": "fail", "message": "the server's disk is full", "version": influxVersion}}
	default:
		a = answer{status: http.StatusOK, body: map[string]string{"name": "stripchart", "status": "pass", "message": "ready for writes", "version": influxVersion}}
	}
	a.send(w)
}

func onlyGet(r *http.Request) answer {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return answer{status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: "use GET", allow: "GET, HEAD"}
	}
	return answer{}
}

// maxQuery bounds the bytes of a query.
const maxQuery = 64 << 10

// query answers CREATE DATABASE, which agents send before they write: there is one database,
// and it is there. Nothing else is queried here.
func (e *Endpoint) query(w http.ResponseWriter, r *http.Request) {
	failed := func(status int, message string) {
		answer{status: status, body: map[string]string{"error": message}}.send(w)
	}
	if r.Method != http.MethodPost && r.Method != http.MethodGet {
		w.Header().Set("Allow", "GET, POST")
		failed(http.StatusMethodNotAllowed, "use POST")
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(e.o.ReadTimeout)) // tests' writers have none
	r.Body = http.MaxBytesReader(w, r.Body, maxQuery)
	if err := r.ParseForm(); err != nil {
		failed(http.StatusBadRequest, "the query cannot be read")
		return
	}
	words := strings.Fields(strings.ToUpper(r.Form.Get("q")))
	if len(words) < 3 || words[0] != "CREATE" || words[1] != "DATABASE" {
		failed(http.StatusBadRequest, "only CREATE DATABASE is answered here: this is Stripchart, which takes InfluxDB's line protocol, and shows what was written on its page")
		return
	}
	answer{status: http.StatusOK, body: map[string]any{"results": []map[string]int{{"statement_id": 0}}}}.send(w)
}
