// Package redisbus is the bus of many processes: a log in one Redis stream.
//
// # Where
//
// The URL forms are those of the client library:
//
//	redis://[user:password@]host[:port][/db]
//	rediss://...                                          the same over TLS
//	unix://[user:password@]/path/to/socket[?db=n]
//	redis+sentinel://[user:password@]host[:port][/db]?master_name=NAME[&addr=host:port ...]
//	redis+cluster://[user:password@]host[:port][?addr=host:port ...]
//
// and rediss+sentinel, rediss+cluster. Behind sentinels user and password are
// theirs, and Redis's unless &username= and &password= follow. The sentinels and nodes
// that are not named are learnt from those that are. Timeouts may be set in the query (dial_timeout, read_timeout, write_timeout).
// The client's own retries are always off.
//
// Over TLS the query may have tls_ca_cert_file (the CA to trust, instead of the
// system's), tls_cert_file and tls_key_file (the client's certificate, read at each
// connection), and skip_verify=true. Each certificate has to name the address that
// is called, not the URL's.
//
// # What is kept there
//
//	{<stream>}:log    the stream; each entry is a batch
//	{<stream>}:epoch  the log's epoch: 12 letters and digits
//
// The braces put both into one slot of a cluster. The stream also has a
// consumer group, without consumers, of the epoch's name (see epoch.go). An
// entry's fields are
//
//	s  the source                          left out, with n, by writers without a sequence
//	n  its sequence number, decimal
//	m  how many before it are in it too    left out when 0
//	d  how many before those the source has dropped, and
//	a  when the newest sample before them was measured, Unix ms
//	                                       left out when there are none
//	b  the series and samples: Remote-Write 2.0, snappy (package rw)
//
// so that "web1"'s third batch, with the second merged into it, is
//
//	XADD {stripchart}:log * s web1 n 3 m 1 b <bytes>
//
// The entry's ID is its position's offset; its milliseconds are the log time.
//
// A user of an ACL needs, on these two keys: HELLO, XADD, MULTI, EXEC to
// publish (and CLUSTER SLOTS, in a cluster); HELLO, XREAD, EVAL, GET, SET, EXISTS, XINFO, XGROUP, XRANGE, XREVRANGE,
// XLEN to read; XTRIM and MEMORY USAGE too to trim. INFO, where it is allowed,
// lets the bus warn of a maxmemory-policy that may evict the log.
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
//     them twice; servers skip them by their sequence numbers.
//  4. Tail does not go on silently behind entries that are gone: trimmed, deleted, or
//     lost by a restart, a restore or a failover. It returns ErrPositionLost.
//     After that, End has the epoch of the position if the log was only
//     trimmed, and another one if it lost its past. All readers find the same
//     new epoch. A bus that has read the log until then knows how much of it is
//     left (docs/decisions/0011).
//     Redis 6.2 does not count what was added: the end of a log that was empty is
//     lost there once the log is not, although nothing is missing.
//  5. While Redis is away, Tail waits and Publish and End fail. Nothing fails for
//     ever but a server that is too old when the bus first meets one (ErrOldServer); later
//     it is waited for like any other trouble. The log has one line for each kind of
//     trouble, with what to do about it, and one when Redis is back.
//  6. An entry that is not ours is counted and delivered as an empty batch, so
//     that positions advance; it never stops the log.
//  7. Only a bus with Options.Trim trims, never by its own clock alone, and never
//     the newest entry.
//
// An operator who deletes the stream while it is read: entries that no reader
// had yet are gone, which the readers notice within a second (or with the next
// entry) as in 4.
package redisbus
