package spool

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/tsdb/fileutil"
	"github.com/prometheus/prometheus/tsdb/wlog"

	"stripchart/internal/bus"
	"stripchart/internal/datadir"
)

// The defaults of Options, and the least MaxBytes.
const (
	DefaultMaxBytes = 256 << 20
	MinMaxBytes     = 1 << 20
	DefaultMaxAge   = 23 * time.Hour // servers refuse what is older than 24 h
)

// resendSpan is how much before the newest acknowledged batch, by the times of
// the samples, is published again after a start or an error.
const resendSpan = bus.ResendSpan

// segments is into how many parts MaxBytes and MaxAge are divided: what is
// dropped at once is one of them.
const segments = 16

var (
	// ErrHeld means that the disk did not take the batch, but the spool has it, in
	// memory, and publishes it all the same. It is not appended again. Until the
	// bus has it, or the disk, it ends with the process.
	ErrHeld = errors.New("batch is held in memory: the disk of the spool cannot be written")
	// ErrNotWritten means that neither the disk nor the memory took the batch. The
	// caller keeps it and appends it again later.
	ErrNotWritten = errors.New("batch could not be written to the spool")
	// ErrSequence means that a batch's sequence number was used before.
	ErrSequence = errors.New("sequence number is not new")
	// ErrClosed means that the spool was closed.
	ErrClosed = errors.New("spool is closed")
)

// Options say where the spool is and how much it holds.
type Options struct {
	// Dir is the directory of the spool, created where it is missing.
	Dir string
	// MaxBytes bounds the log on disk. Zero is DefaultMaxBytes; less than
	// MinMaxBytes is an error.
	MaxBytes int64
	// MaxAge bounds the age of the newest sample of a batch that waits. Zero is
	// DefaultMaxAge; negative is an error.
	MaxAge time.Duration
	// Sync has Append fsync the log before it returns nil, so that a power loss costs
	// nothing of it.
	Sync bool
	// Encode and Decode are the form of a batch in a record; both are needed.
	// Decode must not keep its argument, and may leave Source, Seq and Merged
	// empty: the spool sets them.
	Encode func(*bus.Batch) []byte
	Decode func([]byte) (*bus.Batch, error)
	// NewSource returns the id of a source that begins here. Nil is
	// "collect-<host>-<12 random>".
	NewSource func() string
	// Machine returns what tells this machine from another that has a copy of the
	// spool, "" where that is not known. Nil is a hash of the system's machine id and
	// host name.
	Machine func() string
	// Logger may be nil, for silence.
	Logger *slog.Logger
	// Registerer is given the spool's metrics. It may be nil.
	Registerer prometheus.Registerer

	bootID func() string // for tests
}

// Spool is a source's log of batches; see the package comment.
type Spool struct {
	o       Options
	log     *slog.Logger
	source  string
	machine string
	boot    string
	logDir  string
	segSize int64
	lock    *datadir.Lock
	metrics *metrics
	wake    chan struct{} // capacity 1: something was appended
	kick    chan struct{} // capacity 1: the reservation is running out
	closing chan struct{}
	wg      sync.WaitGroup // keep and Run
	once    sync.Once
	closed  error // of Close

	// The order of the four: logMu, syncMu, saveMu, mu.

	logMu sync.Mutex // guards the log's writing end: wl, and changes of segs
	wl    *wlog.WL   // nil: to be made before the next write
	bad   bool       // a write failed: wl and the log's end are to be mended

	syncMu sync.Mutex // held while the log is fsynced

	saveMu sync.Mutex // held while source.json or the spare is written
	spared bool       // guarded by saveMu: the spare was made in this life

	mu      sync.Mutex // guards what follows; never held over I/O
	segs    []segment  // oldest first; the last is the active one
	newest  uint64     // the highest sequence number in use
	written uint64     // the highest in the log; what is held in memory is above it
	sent    uint64     // the highest that is acknowledged, or dropped with all before it
	given   uint64     // the highest that the bus took
	// givenTime is when given was measured, Unix ms. Before the bus took any, it is
	// right before the first that was dropped; 0 when that is not known.
	givenTime int64
	state     state     // as source.json has it
	marks     marks     // what to publish again
	tail      tail      // the newest batches
	dropped   uint64    // batches, since Open
	episode   uint64    // batches dropped since the sender had last caught up
	unsynced  bool      // the active segment has writes that were not fsynced
	newFile   bool      // a segment was made since the directory was fsynced
	heldFrom  time.Time // when the disk began not to take batches; zero: it takes them
	takes     time.Time // when it took the first since it last did not; zero: none
	running   bool
	done      bool // no more Append or Run
}

// Open opens or creates the spool in o.Dir and locks it. It reads the whole log
// once. Errors say what to do.
func Open(o Options) (_ *Spool, err error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.MaxAge == 0 {
		o.MaxAge = DefaultMaxAge
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.NewSource == nil {
		o.NewSource = newSource
	}
	if o.Machine == nil {
		o.Machine = machineID
	}
	if o.bootID == nil {
		o.bootID = datadir.BootID
	}
	switch {
	case o.Dir == "":
		return nil, errors.New("spool needs a directory")
	case o.MaxBytes < MinMaxBytes:
		return nil, fmt.Errorf("spool of %d bytes is too small: choose at least %d", o.MaxBytes, MinMaxBytes)
	case o.MaxAge < 0:
		return nil, fmt.Errorf("age bound %v of the spool is negative", o.MaxAge)
	case o.Encode == nil || o.Decode == nil:
		return nil, errors.New("spool needs Encode and Decode")
	}
	s := &Spool{
		o: o, log: o.Logger, machine: o.Machine(), boot: o.bootID(),
		logDir:  filepath.Join(o.Dir, "log"),
		segSize: o.MaxBytes / segments / pageSize * pageSize,
		wake:    make(chan struct{}, 1),
		kick:    make(chan struct{}, 1),
		closing: make(chan struct{}),
	}
	if s.lock, err = lockDir(o.Dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.lock.Release(true))
		}
	}()
	if err := os.MkdirAll(s.logDir, 0o777); err != nil {
		return nil, fmt.Errorf("create spool: %w", err)
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	if s.metrics, err = newMetrics(o.Registerer, s); err != nil {
		return nil, fmt.Errorf("register metrics of the spool: %w", err)
	}
	s.logMu.Lock()
	s.prune(0) // what became too old while nobody was here
	s.logMu.Unlock()
	s.wg.Go(s.keep)
	return s, nil
}

// load reads source.json and the log, decides where the sequence goes on, and
// makes that durable.
func (s *Spool) load() error {
	st, err := readState(s.o.Dir, s.log)
	if err != nil {
		return err
	}
	fresh := st.Source == ""
	if fresh {
		st.Source = s.o.NewSource()
		st.Boot = s.boot
	}
	renamed := ""
	switch {
	case st.Machine != "" && s.machine != "" && st.Machine != s.machine:
		// Two that publish as one source have their batches taken for copies of each
		// other's.
		renamed = "this spool is from another machine, or this one has a new name"
	case bus.CheckSource(st.Source) != nil:
		// By a program that did not look: no server would take it over HTTP.
		renamed = "the name of the source in this spool is none that every server takes"
	}
	if renamed != "" {
		// As a new source this one is judged by its own numbers, and what both send is
		// found by series and time.
		old := st.Source
		st.Source = s.o.NewSource()
		s.log.Warn(renamed+"; what it holds and what follows is published as a new source", "was", old, "source", st.Source)
	}
	if err := bus.CheckSource(st.Source); err != nil {
		return err
	}
	if s.machine == "" {
		s.machine = st.Machine
	}
	s.source, s.sent = st.Source, st.Sent
	damaged, err := s.scan()
	if err != nil {
		return err
	}
	s.written = s.newest
	switch s.given, s.givenTime = st.Given, st.GivenTime; {
	case fresh && len(s.segs) > 0:
		s.given = s.segs[0].first - 1 // nobody knows what was before
	case st.Given == 0: // by a program that did not note it
		s.given = st.Sent
	}
	if n := len(s.marks); s.givenTime == 0 && n > 0 {
		s.givenTime = s.marks[n-1].time
	}
	s.newest = max(s.newest, st.Sent, st.Newest)
	// What was written survives the process but not the kernel. Under the same
	// boot id the log and source.json therefore hold every number that was used, and
	// after a clean close source.json does. Otherwise batches may have been published
	// that are no longer in the log: a jump makes servers declare a gap, where a
	// number used twice would make them skip real data without a word. An unknown
	// boot id is never the same. A new source has used no numbers yet.
	if renamed == "" && !st.Clean && (damaged || s.boot == "" || st.Boot != s.boot) && st.Reserved > s.newest {
		s.log.Warn("the end of the spool may be missing; the sequence goes on after the reserved numbers, and servers declare a gap",
			"newest", s.newest, "next", st.Reserved+1)
		s.newest = st.Reserved
	}
	s.tail.from = s.newest + 1
	s.state = st
	err = s.save(0, s.newest+reserveBlock, false)
	if datadir.IsFull(err) {
		// What waits can be sent all the same. Nothing is reserved, so Append fails
		// until source.json is written: it may still say clean.
		s.state = state{Saves: s.state.Saves}
		s.log.Error("the disk of the spool is full; make room and it goes on by itself", "dir", s.o.Dir, "err", err)
		return nil
	}
	return err
}

// newSource returns an id for a source that begins now.
func newSource() string {
	host, _ := os.Hostname() // without a name it is "unknown"
	return bus.NewSource(host)
}

// Source returns the id of the source whose batches are kept here.
func (s *Spool) Source() string { return s.source }

// NextSeq returns the sequence number of the next batch.
func (s *Spool) NextSeq() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest + 1
}

// Waiting returns how many sequence numbers are in use and not acknowledged yet.
func (s *Spool) Waiting() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest - min(s.sent, s.newest)
}

// Dropped returns how many batches were dropped since Open without having been
// sent, for whatever reason.
func (s *Spool) Dropped() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}

// Close ends Run, waits for it, and makes the log and the sent mark durable.
// Append and Run return ErrClosed from then on. Calls after the first return
// what the first did.
func (s *Spool) Close() error {
	s.once.Do(func() {
		s.mu.Lock()
		s.done = true
		s.mu.Unlock()
		close(s.closing)
		s.wg.Wait()
		s.logMu.Lock() // waits for an Append
		defer s.logMu.Unlock()
		// A log that cannot be closed because the disk is full leaves its last page
		// unfinished, which the next Open mends. wlog keeps a goroutine then.
		full := errors.Join(s.catchUp(), s.closeLog())
		// The log first: source.json must not call clean what may not be durable.
		err := errors.Join(s.sync(), s.syncDir())
		err = errors.Join(err, s.save(0, 0, err == nil))
		if n := s.held(); n > 0 {
			err = errors.Join(err, fmt.Errorf("close spool: %d batches that neither the bus nor the disk took are lost: %w", n, full))
		}
		s.closed = errors.Join(err, s.lock.Release(true))
	})
	return s.closed
}

// syncDir makes the names of the segments durable.
func (s *Spool) syncDir() error {
	d, err := fileutil.OpenDir(s.logDir)
	if err != nil {
		return fmt.Errorf("sync spool: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// keepEvery is the rhythm of the background work: the most that power loss
// costs.
const keepEvery = time.Second

// keep syncs, saves and tidies up in the background.
func (s *Spool) keep() {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	failing := false
	saved := time.Now()
	for {
		tick := false
		select {
		case <-s.closing:
			return
		case <-s.kick:
		case <-ticker.C:
			tick = true
		}
		var err error
		if tick {
			err = s.sync()
		}
		s.mu.Lock()
		low := s.state.Reserved < s.newest+reserveBlock/2
		moved := s.sent != s.state.Sent || s.givenTime != s.state.GivenTime
		reserve := s.newest + reserveBlock
		s.mu.Unlock()
		if low || moved && time.Since(saved) >= saveEvery {
			saved = time.Now()
			err = errors.Join(err, s.save(0, reserve, false))
		}
		if tick {
			s.logMu.Lock()
			_ = s.catchUp() // the next Append tells why
			s.prune(0)
			s.logMu.Unlock()
			s.takesAgain()
		}
		switch {
		case err != nil && !failing:
			s.log.Error("the spool cannot be made durable; power loss would cost what it holds", "dir", s.o.Dir, "err", err)
		case err == nil && failing && tick:
			s.log.Info("the spool is durable again", "dir", s.o.Dir)
		}
		if tick || err != nil {
			failing = err != nil
		}
	}
}

// sync fsyncs the active segment through a descriptor of its own: wlog's Sync
// is not safe beside its other methods, and Append must not wait for the disk.
// wlog itself syncs each segment that it leaves. When sync returns nil, everything
// that was written before the call is durable, also where another call was under way.
func (s *Spool) sync() error {
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	s.mu.Lock()
	unsynced, newFile := s.unsynced, s.newFile
	s.unsynced, s.newFile = false, false
	var name string
	if n := len(s.segs); n > 0 {
		name = s.segs[n-1].name(s.logDir)
	}
	s.mu.Unlock()
	var err error
	if unsynced && name != "" {
		var f *os.File
		if f, err = os.OpenFile(name, os.O_RDWR, 0); err == nil {
			err = errors.Join(f.Sync(), f.Close())
		}
	}
	if newFile {
		err = errors.Join(err, s.syncDir())
	}
	if err != nil {
		s.mu.Lock()
		s.unsynced, s.newFile = s.unsynced || unsynced, s.newFile || newFile
		s.mu.Unlock()
		return fmt.Errorf("sync spool: %w", err)
	}
	return nil
}

// nudge wakes the receiver of c, which has capacity 1.
func nudge(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
