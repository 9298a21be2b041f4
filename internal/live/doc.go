// Package live is the heart of Stripchart: it applies the log of batches, and
// keeps the rooms and viewers that are fed from it. It knows neither HTTP nor
// sockets.
//
// Guarantees:
//
//  1. A batch is acknowledged after the store has committed it (or has said
//     that it cannot record for now, bus.ErrNotStored).
//  2. What is accepted is decided in one place (accept.go), by a rule that
//     gives the same answer on every server and at every replay. Package ingest
//     checks the same rule earlier, by its own clock, for batches without a number: their
//     writers are told. Rooms are given only what was accepted. The first value of a
//     (series, time) wins.
//  3. A viewer that joined a room is sent every accepted sample of the room's
//     series in its window, and every one after that, until it leaves: at
//     least once on the wire, exactly once after the upsert by (series, time),
//     in log order; or it is sent a whole new bootstrap, which says so.
//  4. A viewer that does not read delays nobody, and its memory is bounded by
//     its connection's output queue.
//  5. Batches of one source arrive with ascending numbers. Where one jumps, the
//     span between is declared a gap for the source's series: every page that
//     watches them is told, whether it is there, comes later or resumes. A gap is
//     never narrower than what may be missing of each series, and what was declared
//     stays declared: beyond a bound gaps are merged. docs/decisions/0012 says where
//     this ends, and 0013 that two servers may differ inside of a gap, and nowhere
//     else.
//  6. A server on a log that outlives it (Options.Replica) applies every batch that
//     the log retains, also after a kill, a power loss or a new epoch; what it
//     cannot have seen is a declared gap. Samples that it could only show, because the
//     disk was full, it records when there is room, as far as the log goes back; the
//     first value wins meanwhile too (shown.go).
//  7. Nothing is evaluated or encoded per viewer: a flush encodes one packet
//     for a room, and one for each distinct cursor of those that join it.
//  8. No query delays the pages that did not ask it: series are compared with queries
//     without the lock (search.go), and no hold of the lock goes over all series, rooms or
//     viewers. The memory that queries can take is bounded (rooms.go, catalogue.go).
//  9. A room with more series than it sends has no line in part: a page is bootstrapped
//     anew where the choice of series is another one (crowd.go).
//
// # Who owns what
//
// Two sides share the ring and the index, and one lock (recent.go). What passes from the one to
// the other is the entry of the ring. A type's fields are changed by its own methods, in its own
// file.
//
//	the log side (follower)                      the page side (audience)
//	follow.go    follower: reads the log         audience.go  audience: takes entries; the clock
//	ready.go     readiness: viewers may join     rooms.go     rooms: which are open
//	apply.go     applier: the way of a batch     room.go      Room: one query that viewers share
//	epoch.go     what a place of the log tells   members.go   members: its series
//	progress.go  progress: how far, which stage  crowd.go     crowding: series without a place
//	debt.go      debt: what the store lacks      news.go      news: what the next broadcast tells
//	source.go    sources: numbered writers       seats.go     seats: its viewers
//	accept.go    acceptor: the rule              encoding.go, root.go  encoding: how it is sent
//	judge.go, hole.go, loss.go  judge: what is   bootstrap.go bootstraps: its shared histories
//	             missing                         viewer.go    viewer: one client in one room
//	absence.go   the maker of gaps               client.go    Client: one connection
//	ledger.go    declaredGaps                    flush.go, newcomers.go  flusher
//	record.go    recorder: store, ring, pages    read.go      reader: reads history
//	doubt.go, shown.go, damage.go                search.go, tidy.go  matcher: queries and series
//	save.go      saver: the notes on disk        catalogue.go catalogue: which series there are
//
// The page side is told by three methods (pages, in apply.go), and asks by four (logSide, in
// standing.go).
//
// # How a sample goes
//
// One goroutine applies batches in log order (apply.go). It decides what is accepted, asks the
// store which samples it may have already, and commits late samples; all that without the lock.
// Under the lock, in pieces of some milliseconds, it commits the rest to the store, adds it to
// the ring and passes the entry to the rooms. One goroutine flushes (flush.go): it takes what is
// pending under the lock, and encodes and sends it without. One goroutine finds the series that
// rooms and catalogues ask for (search.go). One goroutine saves (save.go), so that a disk that
// hangs holds up neither batches nor pages.
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
//     here, and no page resumes (standing.rereading). A page that had a position of the old
//     epoch is bootstrapped anew, with the reason "lost". Open pages go on receiving new
//     samples; they are told of no gap yet.
//  5. The loss is judged. A source that comes back shows by its number which batches are missing,
//     and its series get a gap (hole.go). Series that nobody has written to for a while get one
//     with a later batch, or by the clock while nothing comes (loss.go). Until then positions
//     are of no epoch (standing.judging), so no page takes its lines to another server.
//  6. The gap is declared and saved before the batch is acknowledged (ledger.go, save.go), passes
//     through the ring as part of an entry (recorder.pass), and the next flush sends "gap" to
//     each room that has one of the series. Viewers that join later are sent it with their
//     bootstrap.
//
// # The join, and why it is exact
//
// A viewer is a cursor: the index of the first ring entry that it has not been
// sent. A bootstrap is a pair (encoded history, index): under the lock the index
// of the ring's end is noted and the store's querier is opened, so the querier
// sees exactly the commits of the entries before that index. Had the querier been
// opened before the index was noted, without the lock, a batch applied in
// between would be in neither: lost. The other way round it would be in both.
// The history may then take any time to read and encode; the viewer goes to the
// room's newcomers with the bootstrap's index as its cursor. The next flush
// sends it the ring from there to the flush's end, and sends all current viewers the
// room's pending samples up to the same end. From then on it is a current viewer.
// Since newcomers become current only at a flush, there is no moment at which a broadcast
// could slip between a viewer's own part and the common one.
//
// # Several servers
//
// With a log that others read as well, a position means the same on every server,
// and a page may come from another one. The ring therefore holds what the log says,
// not what was new here (part), and duplicates that a source resends are skipped only
// when this epoch of the log had them before: docs/decisions/0007 has the
// counter-examples. progress.go says what is saved and from where the log is read
// again.
//
// Late samples are the one exception to "sees exactly": tsdb's out-of-order head
// has no isolation, so a bootstrap may hold late samples that follow again. The
// upsert by (series, time) absorbs them.
package live
