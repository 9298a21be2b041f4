// Package store keeps the history of every series on disk, in an embedded
// Prometheus tsdb. It is the only importer of tsdb.
//
// Guarantees:
//
//  1. When Append returns nil, kill -9 loses nothing of those rows: the write
//     logs are written with write(2) in every commit. Power loss may cost what
//     the kernel had not written yet, unless Options.Sync is set.
//  2. Append is all or nothing, and appending rows again leaves the same
//     history. A sample that the store refuses because there is a newer one or
//     because it is too old is counted, not reported.
//  3. A Snapshot sees exactly the commits before it was opened. The exception
//     is late samples, those older than the newest of their series: one that
//     is committed later may show up.
//  4. Histories are ascending in time, with one value for a time.
//  5. After a failed commit the database is closed and opened again before the
//     next: tsdb's log is not to be trusted behind a failed write.
//  6. Below a reserve of free disk space nothing is committed, because tsdb
//     does not survive a full disk. It goes on by itself when there is room.
//  7. Damage on the disk costs what was damaged, and is told: no value is ever wrong,
//     the store opens, and each sample that is missing lies in one of Losses, or of
//     Snapshot.Missing. docs/RELIABILITY.md says where that ends.
//  8. One process at a time: a directory that is in use, or was written by a
//     newer version, is refused and left as it is.
//
// Late samples: tsdb does not compare a late sample with what is there, it
// keeps both and one of them wins. Whoever wants the first value to win asks
// LookUp before appending samples that are not newer than MaxTime.
//
// A data directory holds:
//
//	VERSION        the format's number, decimal, and a newline
//	LOCK           locked by the process that has the store open; see package datadir
//	running.json   that process; Close removes it, so a kill is noticed at the next start
//	progress.json  how far the log was applied; see Note, also for the copies
//	gaps.json      the declared gaps; see Note
//	blocks.json    which blocks and segments there were; see contents
//	spare          1 MiB that is given back to start on a full disk
//	tsdb/          the database, in Prometheus's own format
//
// and NAME.broken where something was set aside.
//
// Every method of Store may be called at any time from any goroutine, also
// during and after Close. Appends run one after the other.
package store
