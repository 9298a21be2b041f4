package server

import (
	"net/http"
	"strings"
	"testing"

	"stripchart/internal/api"
	"stripchart/internal/ingest"
)

// A new path for writers or readers must not be open to pages of other sites because isForPrograms
// has forgotten it. The two probes cost nothing.
func TestNoPathForProgramsIsOpenToPagesOfOtherSites(t *testing.T) {
	probes := map[string]bool{"/ping": true, "/health": true}
	h := newServer(t, true)
	for _, path := range append(ingest.Paths(), api.Paths()...) {
		path = strings.NewReplacer("{", "", "}", "").Replace(path) // a pattern's wildcard stands for itself
		for _, method := range []string{"GET", "POST"} {
			r := ask(h, method, path, map[string]string{"Sec-Fetch-Site": "cross-site"})
			if refused := r.StatusCode == http.StatusForbidden; refused == probes[path] {
				t.Errorf("%s %s from a page of another site: %d", method, path, r.StatusCode)
			}
		}
	}
}
