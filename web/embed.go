// Package web holds the built page: the files that Vite writes to dist, embedded into the binary.
//
// The page is not committed; dist has one committed placeholder, so this package always compiles, also on a
// fresh clone. Built tells the two cases apart.
//
// Beside every text file X in dist stand X.br and X.gz, compressed at build; a large X is not there itself. Files below assets/ carry a hash
// of their content in their names and never change; all others may.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Dist returns the built page's files: index.html, plotly.html, and what they load, with paths relative to
// web/dist. Without a build it holds the placeholder only.
func Dist() fs.FS {
	sub, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // fs.Sub fails for an invalid path only, and "dist" is a valid one
	}
	return sub
}

// Built reports whether the page was built into this binary.
func Built() bool {
	_, err := fs.Stat(dist, "dist/index.html")
	return err == nil
}
