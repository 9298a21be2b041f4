package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// writeArchive packs folder, as a folder named top, into a .zip or a .tar.gz. Every file is root's and has the same
// time, whatever umask and clock this machine has.
func writeArchive(name, top, folder string, mtime time.Time) (err error) {
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	var entry func(name string, mode fs.FileMode, size int64) (io.Writer, error)
	var ends []io.Closer
	if strings.HasSuffix(name, ".zip") {
		z := zip.NewWriter(out)
		ends = []io.Closer{z}
		entry = func(name string, mode fs.FileMode, _ int64) (io.Writer, error) {
			h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: mtime}
			h.SetMode(mode)
			return z.CreateHeader(h)
		}
	} else {
		compressed := gzip.NewWriter(out)
		t := tar.NewWriter(compressed)
		ends = []io.Closer{t, compressed}
		entry = func(name string, mode fs.FileMode, size int64) (io.Writer, error) {
			h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(mode), Size: size, ModTime: mtime, Uname: "root", Gname: "root"}
			return t, t.WriteHeader(h)
		}
	}
	err = fs.WalkDir(os.DirFS(folder), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if isProgram(name) {
			mode = 0o755
		}
		w, err := entry(path.Join(top, name), mode, info.Size())
		if err != nil {
			return err
		}
		in, err := os.Open(filepath.Join(folder, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		defer in.Close()
		_, err = io.Copy(w, in)
		return err
	})
	for _, end := range ends {
		err = errors.Join(err, end.Close())
	}
	return err
}

// unpack writes the files of an archive that writeArchive made to folder.
func unpack(name, folder string) error {
	if strings.HasSuffix(name, ".zip") {
		z, err := zip.OpenReader(name)
		if err != nil {
			return err
		}
		defer z.Close()
		return os.CopyFS(folder, z)
	}
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	compressed, err := gzip.NewReader(in)
	if err != nil {
		return err
	}
	t := tar.NewReader(compressed)
	for {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if !filepath.IsLocal(h.Name) {
			return fmt.Errorf("%s: a path outside of the archive: %q", name, h.Name)
		}
		to := filepath.Join(folder, filepath.FromSlash(h.Name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, h.FileInfo().Mode())
		if err != nil {
			return err
		}
		if _, err := io.Copy(out, t); err != nil {
			out.Close()
			return err
		}
		if err := out.Close(); err != nil {
			return err
		}
	}
}
