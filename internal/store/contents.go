package store

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/wlog"

	"stripchart/internal/wlogpage"
)

// contents is the note "blocks.json": what the database held when it was looked at last,
// so that what is gone at the next start is noticed. It is written when a block appears
// or goes, before files are deleted, and at Close.
type contents struct {
	dir string // the data directory
	log *slog.Logger

	mu sync.Mutex // guards what follows
	noted
	written []byte

	// losses is a copy of Lost for readers that must not wait for the disk; change writes to
	// the disk while it holds mu.
	losses atomic.Pointer[[]Loss]
}

type noted struct {
	// Blocks are the metas of the blocks, which their own meta.json has without a
	// checksum.
	Blocks map[ulid.ULID]tsdb.BlockMeta `json:"blocks"`
	// Logs are the segments of the write logs, named from the database's directory, and
	// how many bytes of each are in use. Only more can become of that.
	Logs map[string]int64 `json:"logs"`
	// Synced tells that appends are fsynced before they return.
	Synced bool `json:"synced,omitempty"`
	// Lost are the losses that were not declared yet.
	Lost []Loss `json:"lost,omitempty"`
}

// readContents returns what was noted last. Where that is not legible, blocks that are
// gone are not noticed this time.
func readContents(dir string, log *slog.Logger) (*contents, error) {
	c := &contents{dir: dir, log: log}
	b, _, err := blocks.read(dir, log)
	if err != nil {
		return nil, err
	}
	if b == nil {
		return c, nil
	}
	if err := json.Unmarshal(b, &c.noted); err != nil {
		log.Warn("the note of the store's blocks is not legible", "file", blocks, "err", err)
		c.noted = noted{}
	}
	c.written = b
	c.copyLosses()
	return c, nil
}

// change applies f and saves the note. A failure to save is only logged: the older note
// stays, and the next start checks more files than it needs to.
func (c *contents) change(f func(*noted)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.noted)
	c.copyLosses()
	b, err := json.Marshal(c.noted)
	if err == nil && !bytes.Equal(b, c.written) {
		if err = blocks.write(c.dir, b); err == nil {
			c.written = b
		}
	}
	if err != nil {
		c.log.Warn("what the store holds could not be noted", "err", err)
	}
	return err
}

// copyLosses makes the copy. The caller holds mu.
func (c *contents) copyLosses() {
	ls := slices.Clone(c.Lost)
	c.losses.Store(&ls)
}

// lost notes losses that nobody was told of.
func (c *contents) lost(ls []Loss) {
	if len(ls) == 0 {
		return
	}
	_ = c.change(func(n *noted) {
		for _, l := range ls {
			if !slices.ContainsFunc(n.Lost, l.Equal) {
				n.Lost = append(n.Lost, l)
				l.warn(c.log, c.dir)
			}
		}
	})
}

// see notes the blocks that stay. It is called before any other is deleted.
func (c *contents) see(bs []*tsdb.Block, deletable map[ulid.ULID]struct{}, synced bool) {
	metas := make(map[ulid.ULID]tsdb.BlockMeta, len(bs))
	for _, b := range bs {
		metas[b.Meta().ULID] = b.Meta()
	}
	for _, b := range bs {
		for _, parent := range b.Meta().Compaction.Parents {
			delete(metas, parent.ULID)
		}
	}
	for id := range deletable {
		delete(metas, id)
	}
	_ = c.change(func(n *noted) { n.Blocks, n.Logs, n.Synced = metas, logFiles(c.dir), synced })
}

// seeLogs notes the write logs, once the database no longer writes to them.
func (c *contents) seeLogs() { _ = c.change(func(n *noted) { n.Logs = logFiles(c.dir) }) }

// logFiles returns the segments of the write logs and how many bytes of each are in use.
// What cannot be read is left out: it is noticed when it is opened.
func logFiles(dir string) map[string]int64 {
	files := map[string]int64{}
	db := filepath.Join(dir, databaseDir)
	for _, log := range []string{walDir, wlog.WblDirName} {
		_ = filepath.WalkDir(filepath.Join(db, log), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil
			}
			rel, err := filepath.Rel(db, path)
			if err == nil && isSegment(rel) {
				files[filepath.ToSlash(rel)] = usedOf(path)
			}
			return nil
		})
	}
	return files
}

const (
	databaseDir   = "tsdb"
	walDir        = "wal"
	headChunksDir = "chunks_head"
)

func isSegment(path string) bool {
	name := filepath.Base(path)
	return strings.Trim(name, "0123456789") == "" && !strings.Contains(path, ".tmp")
}

// usedOf returns how many bytes of a file stand before the zeros at its end, as far as
// they are in its last page.
func usedOf(path string) int64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	from := max(0, (info.Size()-1)/wlogpage.Size*wlogpage.Size)
	page := make([]byte, info.Size()-from)
	if n, err := f.ReadAt(page, from); err != nil && n < len(page) {
		return 0
	}
	return from + wlogpage.Used(page)
}
