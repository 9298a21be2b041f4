package live

import "time"

// recent is what the follower of the log and the audience of pages share: the newest entries of
// the log, and the series in them. What passes from the one to the other is the entry.
//
// A join is exact because both sides take the same lock: see the package comment.
type recent struct {
	// mu is held for a commit of samples in order, for opening a querier, and for taking what
	// a flush sends. It is never held while the store is asked which samples it has, while
	// late samples are committed, while history is read, while samples are encoded, or while
	// a connection is written to.
	//
	// Other locks exist. bootstrap.mu guards the encoded forms of one bootstrap, and is never
	// held together with mu. Three channels are locks, and are taken before mu: applier.turn
	// while a batch is applied or an idle log judged, Client.turn while a bootstrap or a history
	// is handed over, and saver.notes while notes are written.
	mu    lock
	ring  ring
	index index
}

// now is the server's clock in Unix ms.
func (*recent) now() int64 { return time.Now().UnixMilli() }
