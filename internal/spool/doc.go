// Package spool keeps a source's batches on disk until the bus has
// acknowledged them, so that a collector that is killed, or whose bus is away,
// loses nothing.
//
// Guarantees:
//
//  1. Append returns nil only when the batch was written with write(2): a
//     process that is killed afterwards loses nothing. The log is fsynced in the
//     background once a second; power loss may cost what was appended since, unless
//     Options.Sync is set: then Append fsyncs it first.
//  2. Run publishes what was appended in the order of sequence numbers, one
//     Publish in flight, and only after Append has taken it. What Publish returns
//     decides what becomes of a batch:
//     - nil, bus.ErrNotStored, bus.ErrNotAllWritten: it counts as sent
//     - bus.ErrRefused, bus.ErrTooLarge: it is dropped; see 8
//     - bus.ErrUnusable: Run ends, and the next Run publishes it again
//     - any other error: it is published again
//  3. A sequence number is never published with two contents. After a restart
//     the sequence goes on without a jump, also after kill -9. Only where the
//     end of the log may be missing (power loss, damage) it goes on after the
//     numbers that were reserved, and servers declare a gap.
//  4. Waiting batches are merged, at most 64 batches, 256 KiB or 5,000 samples,
//     and never across a missing number: a merged batch vouches for every number
//     from First to Seq. The batch behind a missing number goes alone.
//  5. After a start, and after an error, Redis may have lost its newest entries. So the
//     batches of the last 10 s before the newest acknowledged one are published again, but
//     none from before a number that is missing. Readers skip the copies.
//  6. The spool is bounded in bytes and age. Beyond a bound the oldest whole segments are
//     dropped, counted and logged; servers see the missing numbers and declare a gap. A
//     server that does not know the numbers before is told by the batch behind the missing
//     ones how many are missing, and since when.
//  7. A full or failing disk does not stop the stream. Append returns ErrHeld: the
//     batch is in memory and published from there, and written, in order, when there
//     is room again. Held batches may wait for the bus up to 4 MiB. A kill loses the
//     batches that are only in memory; their numbers count as used, so servers declare a
//     gap of exactly those. Beyond the 4 MiB, or if not even the spare (see below) can be
//     written, Append returns ErrNotWritten. Batches appended before are never harmed.
//  8. A batch that the bus refuses for good is dropped, counted and logged, alone:
//     a refused merged batch is taken apart first.
//  9. A spool that is opened on another machine, or under another host name, continues as a
//     new source with the same numbers, so two hosts with a copy of one spool never publish
//     as one source. A spool whose source has a name that bus.CheckSource refuses continues
//     as a new source too: a server would refuse each of its batches.
//
// On disk a spool is a directory:
//
//	LOCK          locked by the process that has the spool; see package datadir
//	running.json  that process, for the error that others get
//	source.json   {"version":3,"saves":12,"source":"collect-web1-k3v9...",
//	              "machine":"77ab...","sent":41,"given":41,"given_time":1764000000000,
//	              "newest":57,"reserved":1057,"boot":"5e2f...","clean":false,
//	              "crc32":"8a0d3c1e"}
//	source.spare  the same with the checksum before it, and blanks to fill a block
//	log/00000007  segments of Prometheus's write log (tsdb/wlog), uncompressed
//
// A record of the log is
//
//	uvarint seq, uvarint merged, varint time of the newest sample (Unix ms),
//	the encoded batch
//
// source.json is replaced in one step. Every sequence number is at most its
// "reserved" before it is used. "boot" is the kernel's boot id: while it is the
// same, all that was written is still in the log, and all that was held is at most
// "newest"; "clean" says that the spool was closed, and then "newest" is exact.
// "machine" is a hash of the machine id and the host name. A source.json of version 1
// has no "saves" and no "machine"; its source goes on, and is bound to the machine
// from then on. One of version 2 has no "crc32", which is of what stands before it and
// the closing brace. A program refuses a spool of a newer version and leaves it as it is.
// Batches up to "sent" need not be sent any more; "given" is the newest that the bus accepted.
//
// A full disk has no room to replace a file. The spare was made while there was
// room, and is overwritten in place, which needs none on ext4, XFS or tmpfs. Of the
// two files the one with more "saves" counts. Each held batch costs one such write,
// with fsync, before it is published. Reserving blocks of numbers there would cost
// less, and a kill would then jump over up to a block of numbers that were never
// used: a gap declared over time in which nothing is missing. Held
// batches are kept in the spool, and the caller does not publish them itself. So one
// sender, which has them anyway, sees to the order, the one Publish in flight, the
// merging and the resending. File systems that copy on write may refuse to overwrite when they
// are full; then Append refuses, and the caller's own queue is what there is.
//
// wlog's own Repair deletes every segment after the damaged one. Here each segment is read
// by itself, and a damaged one is written anew with the records that can be read.
package spool
