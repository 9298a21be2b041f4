// Package redisbus is the bus of many processes: a log in one Redis stream.
//
// Package redislink reaches Redis, and documents the URL forms.
//
// # What is kept in Redis
//
//	{<stream>}:log    the stream; each entry is a batch
//	{<stream>}:epoch  the log's epoch: 12 letters and digits
//
// The braces put both keys into one slot of a cluster. The stream also has a
// consumer group without consumers, named after the epoch (see epoch.go). The
// fields of an entry are those of bus.Sequence and the payload:
//
//	s  Source                              s and n are absent for writers without a sequence
//	n  Seq, decimal
//	m  Merged                              absent when 0
//	d  Dropped                             d and a are absent when Dropped is 0
//	a  DroppedAfter, Unix ms
//	b  the series and samples: Remote-Write 2.0, snappy (package rw)
//
// For example, the third batch of "web1", with the second merged into it, is
//
//	XADD {stripchart}:log * s web1 n 3 m 1 b <bytes>
//
// The ID of the entry is the offset of its position; its milliseconds are the log time.
//
// Beyond the permissions that package redislink lists, an ACL user needs, on these
// two keys: XADD, MULTI, EXEC to publish; XREAD, EVAL, GET, SET, EXISTS, XINFO, XGROUP,
// XRANGE, XREVRANGE, XLEN to read; and XTRIM and MEMORY USAGE to trim.
//
// # Guarantees
//
// Those of package bus, and:
//
//  1. Publish returns nil only when XADD was acknowledged. Any error says nothing
//     about whether the batch is in the log.
//  2. At most one pipeline of batches is under way, so a source that has one
//     Publish in flight has one XADD in flight.
//  3. After every reconnect the batches that were acknowledged in the 10 s before
//     the link was lost are sent again, in order, before anything new. Readers get
//     them twice; servers skip duplicates by their sequence numbers, or by series and time
//     where there are none.
//  4. When entries are gone (trimmed, deleted, or lost by a restart, a restore or a
//     failover), Tail returns ErrPositionLost; it never continues behind them silently.
//     After that, End has the epoch of the position if the log was only trimmed, and
//     another epoch if the log lost its end. All readers find the same new epoch. A
//     bus that was reading the log when that happened knows how much of it is still the
//     same (docs/decisions/0011).
//     Redis 6.2 does not count the entries ever added. So the end position of an
//     empty log is reported lost there once the log has entries, although none is missing.
//  5. While Redis is away, Tail waits, and Publish and End fail. The only permanent
//     failure is redislink.ErrOldServer. The log gets one line for each kind of failure,
//     with what to do, and one when Redis is back.
//  6. An entry in a foreign format is counted and delivered as an empty batch, so
//     that positions advance; it never stops the log.
//  7. Only a bus with Options.Trim trims, never by its own clock alone, and never
//     the newest entry.
//
// When an operator deletes the stream, readers notice it as in 4, within a second or with
// the next entry. Entries that no reader had yet are gone.
package redisbus
