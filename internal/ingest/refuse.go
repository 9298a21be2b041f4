package ingest

import (
	"encoding/json"
	"mime"
	"net/http"

	"google.golang.org/protobuf/encoding/protowire"

	"stripchart/internal/httperr"
)

// Refuse answers a request at one of Paths that is refused before the Endpoint sees it, in the
// form that writers of that path read.
func Refuse(w http.ResponseWriter, r *http.Request, status int, e httperr.Error) {
	a := answer{status: status, code: e.Code, message: e.Message}
	e = e.Bounded()
	switch r.URL.Path {
	case influx1Path, InfluxQuery:
		w.Header().Set("X-Influxdb-Error", headerText(e.Message))
		a.body = map[string]string{"error": e.Message}
	case influx2Path:
		a.body = influx2Error{Code: influx2Code(status), Message: e.Message}
	case otlpPath1, otlpPath2:
		a.raw, a.media = otlpStatus(mediaOf(r) == "application/json", status, e)
	}
	a.send(w)
}

func mediaOf(r *http.Request) string {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // an unreadable one is none
	return media
}

// otlpStatus returns an error as a google.rpc.Status, and its media type.
func otlpStatus(inJSON bool, status int, e httperr.Error) (body []byte, media string) {
	message := e.Code + ": " + e.Message
	if inJSON {
		body, _ = json.Marshal(map[string]any{"code": grpcCode(status), "message": message}) // of text, it cannot fail
		return body, "application/json"
	}
	body = protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(grpcCode(status)))
	body = protowire.AppendString(protowire.AppendTag(body, 2, protowire.BytesType), message)
	return body, "application/x-protobuf"
}
