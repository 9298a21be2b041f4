package web

import (
	"errors"
	"io/fs"
	"testing"
)

// A binary without the page must compile and must know that it has none: the server says so at "/".
func TestBuiltAgreesWithDist(t *testing.T) {
	_, err := fs.Stat(Dist(), "index.html")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if got, want := Built(), err == nil; got != want {
		t.Errorf("Built() = %v, but dist has index.html: %v", got, want)
	}
}

// The committed placeholder must outlive every build, or a build would leave the work tree changed.
func TestPlaceholderIsKept(t *testing.T) {
	if _, err := fs.Stat(Dist(), "placeholder.txt"); err != nil {
		t.Errorf("dist/placeholder.txt is missing: %v", err)
	}
}

// Whoever loads the page from this binary gets it compressed: each text file has both forms beside it.
func TestBuiltPageIsPrecompressed(t *testing.T) {
	if !Built() {
		return // the two tests above hold for this case
	}
	for _, page := range []string{"index.html", "plotly.html"} {
		for _, form := range []string{page, page + ".br", page + ".gz"} {
			if _, err := fs.Stat(Dist(), form); err != nil {
				t.Errorf("%v", err)
			}
		}
	}
}
