// Package apply is the log side of Stripchart: it applies the log of batches to the store, finds out
// what is missing, and passes what was accepted to the pages. It knows neither rooms nor viewers.
//
// Guarantees:
//
//  1. With a log in memory a batch is acknowledged after the store has committed it, and after the
//     gaps that were declared for its source are saved. While the disk is full the writer gets
//     bus.ErrNotStored instead. A batch of Redis is acknowledged before it is read here
//     (bus.Delivery.Kept): a commit that fails is tried until it succeeds, and the saved position
//     passes a batch only after the gaps that the batch revealed are saved.
//  2. What is accepted is decided in one place (accept.go), by a rule that
//     gives the same answer on every server and at every replay. Package ingest
//     checks the same rule earlier, by its own clock, for batches without a number: their
//     writers are told. Pages are given only what was accepted. The first value of a
//     (series, time) wins.
//  3. Batches of one source arrive with ascending numbers. Where one jumps, the
//     span between is declared a gap for the source's series: every page that
//     watches them is told, whether it is there, comes later or resumes. A gap is
//     never narrower than what may be missing of each series, and what was declared
//     stays declared: beyond a bound gaps are merged. docs/decisions/0012 says where
//     this ends, and 0013 that two servers may differ inside of a gap, and nowhere
//     else.
//  4. A server on a log that outlives it (Options.Replica) applies every batch that
//     the log retains, also after a kill, a power loss or a new epoch; what it
//     cannot have seen is a declared gap. Samples that it could only show, because the
//     disk was full, it records when there is room, as far as the log goes back; the
//     first value wins meanwhile too (shown.go).
//
// # Who owns what
//
// A type's fields are changed by its own methods, in its own file.
//
//	follow.go    Follower: reads the log, and answers the page side
//	ready.go     readiness: viewers may join
//	apply.go     applier: the way of a batch
//	epoch.go     what a batch's place in the log tells; a new epoch
//	retry.go     what is tried until it succeeds
//	progress.go  progress: how far, which stage
//	debt.go      debt: what the store lacks
//	source.go    sources: numbered writers
//	series.go    series: what is kept of one
//	accept.go    acceptor: the rule
//	judge.go, hole.go, loss.go  judge: what is missing
//	absence.go   the maker of gaps
//	ledger.go    declaredGaps; savedgaps.go is their form on disk
//	record.go    recorder: store, ring, pages, in pieces
//	doubt.go, shown.go, damage.go  what the store may have, lacks, has lost
//	save.go      saver: the notes on disk
//
// The pages are told by three methods (Pages, in ports.go). They ask by the exported methods of
// Follower.
//
// # How a batch goes
//
// One goroutine applies batches in log order (apply.go). It decides what is accepted, asks the
// store which samples it may have already, and commits late samples; all that without the lock
// (recent.Log.Mu). Under the lock, in pieces of some milliseconds, it commits the rest to the
// store, adds it to the ring and passes the entry to the pages. One goroutine saves (save.go), so
// that a disk that hangs holds up neither batches nor pages. One judges a loss while nothing comes.
//
// # What happens when the log loses its end
//
//  1. The loss is detected. A Tail begins at a place that the log no longer has
//     (bus.ErrPositionLost); or the log ends before what is known (progress.endsEarly); or an
//     entry after what is known comes although what is known did not (progress.skips). In the
//     last two cases the follower asks for the place itself (askPlace), so the bus finds the loss
//     and begins a new epoch, which every server notices.
//  2. The follower reads on behind the entries that both epochs share, if the bus knows them, or
//     from the log's beginning (applier.leftToRead).
//  3. The epoch begins, in one place (applier.beginEpoch): at once in the first case of step 2,
//     with the first entry otherwise (applier.lost). Numbers of sources and places of the log
//     count anew, the ring restarts, and the loss is noted (judge.lose).
//  4. Up to the log's end as it was then, entries are reread: pages are told only what is new
//     here, and no page resumes (Standing.Rereading). A page that had a position of the old
//     epoch is bootstrapped anew, with the reason "lost". Open pages go on receiving new
//     samples; they are told of no gap yet.
//  5. The loss is judged. A source that comes back shows by its number which batches are missing,
//     and its series get a gap (hole.go). Series that nobody has written to for a while get one
//     with a later batch, or by the clock while nothing comes (loss.go). Until then positions
//     are of no epoch (Standing.Judging), so no page takes its lines to another server.
//  6. The gap is declared (ledger.go) and passes through the ring as part of an entry
//     (recorder.pass). The next flush sends "gap" to each room that has one of the series. Viewers
//     that join later are sent it with their bootstrap. The gap is saved (save.go) before the saved
//     position passes the batch that revealed it.
//
// # Several servers
//
// With a log that others read as well, a position means the same on every server,
// and a page may come from another one. The ring therefore holds what the log says,
// not what was new here (recent.Part), and duplicates that a source resends are skipped only
// when this epoch of the log had them before: docs/decisions/0007 has the
// counter-examples. progress.go says what is saved and from where the log is read
// again.
package apply
