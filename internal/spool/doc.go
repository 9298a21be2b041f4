// Package spool keeps a source's batches on disk until the bus has
// acknowledged them, so that a collector that is killed, or whose bus is away,
// loses nothing.
//
// Guarantees:
//
//  1. Append returns nil only when the batch was written with write(2): a
//     process that is killed afterwards loses nothing. The log is fsynced in the
//     background once a second; power loss may cost what was appended since.
//  2. Run publishes what was appended in the order of sequence numbers, one
//     Publish in flight, and only after Append has written it. A batch counts as
//     sent when Publish returned nil or bus.ErrNotStored. Any other error but
//     ErrRefused and bus.ErrTooLarge means that it is published again, after
//     bus.ErrUnusable by another Run, since it ends this one.
//  3. A sequence number is never published with two contents. After a restart
//     the sequence goes on without a jump, also after kill -9. Only where the
//     end of the log may be missing (power loss, damage) it goes on after the
//     numbers that were reserved, and servers declare a gap.
//  4. Waiting batches are merged, at most 64 batches, 256 KiB or 5,000 samples,
//     and never across a missing number: a merged batch vouches for every number
//     from First to Seq. The batch behind a missing number goes alone.
//  5. After a start, and after an error, the batches of the last 10 s before the
//     newest acknowledged one are published again (DESIGN section 5, Bus 3).
//     Readers skip the copies.
//  6. The spool is bounded in bytes and age. What no longer fits is dropped from
//     the oldest end, in whole segments, counted and logged; servers see the
//     missing numbers and declare a gap.
//  7. When the disk is full or fails, Append returns ErrNotWritten, nothing that
//     was appended before is harmed, and Append works again when there is room.
//  8. A batch that the bus refuses for good is dropped, counted and logged, alone:
//     a refused merged batch is taken apart first.
//
// On disk a spool is a directory:
//
//	LOCK          locked by the process that has the spool
//	owner         that process's id, for the error that others get
//	source.json   {"version":1,"source":"collect-web1-k3v9...","sent":41,
//	              "newest":57,"reserved":1057,"boot":"5e2f...","clean":false}
//	log/00000007  segments of Prometheus's write log (tsdb/wlog), uncompressed
//
// A record of the log is
//
//	uvarint seq, uvarint merged, varint time of the newest sample (Unix ms),
//	the encoded batch
//
// source.json is replaced in one step. Every sequence number is at most its
// "reserved" before it is used. "boot" is the kernel's boot id: while it is the
// same, all that was written is still in the log; "clean" says that the spool was
// closed, and then "newest" is exact.
//
// wlog's own Repair deletes every segment after the damaged one. Here each
// segment is read by itself, so a damaged one loses its end and nothing else.
package spool
