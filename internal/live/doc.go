// Package live is the heart of Stripchart: it applies the log of batches, and
// keeps the rooms and viewers that are fed from it. It knows neither HTTP nor
// sockets.
//
// Guarantees:
//
//  1. A batch is acknowledged after the store has committed it (or has said
//     that it cannot record for now, bus.ErrNotStored).
//  2. What is accepted is decided in one place (accept.go), by a rule that
//     gives the same answer on every server and at every replay. Rooms are
//     given only what was accepted. The first value of a (series, time) wins.
//  3. A viewer that joined a room is sent every accepted sample of the room's
//     series in its window, and every one after that, until it leaves: at
//     least once on the wire, exactly once after the upsert by (series, time),
//     in log order; or it is sent a whole bootstrap anew, which says so.
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
//     cannot have seen is a declared gap. What it could only show, because the
//     disk was full, it records when there is room, as far as the log goes back; the
//     first value wins meanwhile too (shown.go).
//  7. Nothing is evaluated or encoded per viewer: a flush encodes one packet
//     for a room, and one for each distinct cursor of those that join it.
//  8. No query delays those who did not ask it: series are compared with queries
//     without the lock (search.go), and no hold of it goes over all series, rooms or
//     viewers. What queries can make the server hold is bounded (room.go, catalogue.go).
//  9. A room with more series than it sends has no line in part: a page is bootstrapped
//     anew where the choice of series is another one (crowd.go).
//
// # How a sample goes
//
// One goroutine applies batches in log order (apply.go). It decides what is accepted,
// asks the store about what it may have already, and commits late samples, without
// Hub.mu. Under it, in pieces of some milliseconds, it commits the rest to the store,
// puts it into the ring and adds it to what its rooms have pending. One goroutine flushes
// (flush.go): it takes what is pending under the lock, encodes and sends it without the
// lock. One goroutine finds the series that rooms and catalogues ask for (search.go). One
// goroutine saves (save.go), so that a disk that hangs holds up neither.
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
// room's newcomers with the bootstrap's index as its cursor, and the next flush
// sends it the ring from there to the flush's end, and to everybody else the
// room's pending samples up to the same end. From then on it is one of everybody.
// Since newcomers enter only at a flush, there is no moment at which a broadcast
// could slip between a viewer's own part and the common one.
//
// # Several servers
//
// With a log that others read as well, a position means the same on every server,
// and a page may come from another one. The ring therefore holds what the log says,
// not what was new here (part), and copies that a source resends are skipped only
// when this epoch of the log had them before: docs/decisions/0007 has the
// counter-examples. progress.go says what is saved and from where the log is read
// again; source.go how sequence numbers are judged, loss.go what the log has lost;
// missing.go how long a gap is; gap.go what is declared, and how many.
//
// Late samples are the one exception to "sees exactly": tsdb's out-of-order head
// has no isolation, so a bootstrap may hold late samples that follow again. The
// upsert by (series, time) absorbs them.
package live
