// Package live is the page side of Stripchart: it keeps the rooms and viewers that are fed from the
// log. The log side is package apply; package recent is what the two share. It knows neither HTTP
// nor sockets.
//
// Guarantees, beside those of package apply:
//
//  1. A viewer that joined a room is sent every accepted sample of the room's
//     series in its window, and every one after that, until it leaves: at
//     least once on the wire, exactly once after the upsert by (series, time),
//     in log order; or it is sent a whole new bootstrap, which says so.
//  2. A viewer that does not read delays nobody, and its memory is bounded by
//     its connection's output queue.
//  3. Nothing is evaluated or encoded per viewer: a flush encodes one packet
//     for a room, and one for each distinct cursor of those that join it.
//  4. No query delays the pages that did not ask it: series are compared with queries
//     without the lock (search.go), and no hold of the lock goes over all series, rooms or
//     viewers. The memory that queries can take is bounded (rooms.go, catalogue.go).
//  5. A room with more series than it sends has no line in part: a page is bootstrapped
//     anew where the choice of series is another one (crowd.go).
//
// # Who owns what
//
// A type's fields are changed by its own methods, in its own file. The lock is recent.Log.Mu.
//
//	hub.go       Hub: both sides together, and their goroutines
//	audience.go  audience: takes entries, and looks after what changes with time alone
//	rooms.go     rooms: which are open
//	room.go      Room: one query that viewers share
//	members.go   members: its series
//	crowd.go     crowding: series without a place
//	news.go      news: what the next broadcast tells
//	seats.go     seats: its viewers
//	encoding.go, root.go  encoding: how it is sent
//	bootstrap.go bootstraps: its shared histories
//	viewer.go    viewer: one client in one room
//	client.go    Client: one connection
//	flush.go, newcomers.go  flusher
//	read.go      reader: reads history
//	search.go    matcher: queries and series
//	catalogue.go catalogue: which series there are
//
// The log side tells it of entries by three methods (intake, in audience.go), and is asked by five
// (logSide, in the same file).
//
// # How an entry goes
//
// The goroutine that applies marks the rooms of an entry (intake.Take), under the lock. One goroutine
// flushes (flush.go): it takes what is pending under the lock, and encodes and sends it without. One
// goroutine finds the series that rooms and catalogues ask for (search.go). One looks after states,
// forgotten series and empty rooms (audience.watch).
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
// Late samples are the one exception to "sees exactly": tsdb's out-of-order head
// has no isolation, so a bootstrap may hold late samples that follow again. The
// upsert by (series, time) absorbs them.
//
// # What happens when a viewer is slow
//
//  1. The socket of its connection takes no more. Package socketio queues up to a bound
//     (Config.OutputBytes there) and refuses a Write beyond it. Nobody waits for the page.
//  2. The viewers of a connection that refused go back to the cursor that they had before the flush
//     (flusher.takeBack), and are lagging (viewer.lag): they are sent nothing, and cost nothing.
//  3. The page has read, the queue is empty, and socketio calls Client.Drained. Where the ring still
//     covers the cursor, the viewer is a newcomer again (viewer.proceed), and the next flush sends the
//     ring from there as a bootstrap that continues, with the reason "slow". Where the ring does not,
//     or more has come than fits (maxResume and the page's points, newcomers.go), the viewer gets a
//     whole new bootstrap (join.go) with the same reason.
//  4. A page that never reads is closed by socketio, and resumes when it connects again.
//
// Nothing was lost, so there is no gap.
//
// # How a gap reaches a page
//
//  1. Package apply makes the gap (absence.go there has the table of what causes one), declares it
//     (ledger.go) and puts it into the ring with an entry (recorder.pass).
//  2. intake.Take tells each room that has one of the series (Room.tell), and the room keeps the gap
//     for the next flush (news.gap).
//  3. The flush sends event "gap" with the ids of the series (members.messages, liveEncoding.gaps):
//     to current viewers, and to newcomers whose cursor is before the entry. A viewer that resumes is
//     sent all gaps of its window (takeNewcomers).
//  4. A bootstrap is followed by the gaps of its window (reader.readPast).
//  5. The page keeps the gap with its lines and hatches it: Room.gap in web/src/model/room.ts.
package live
