// Package backfill puts samples of any age into a data directory as blocks of tsdb, while no
// server has it open.
//
// Guarantees:
//
//  1. All or nothing: before Commit nothing of the history changes, and Commit only renames
//     finished blocks. If it is killed in between, a second import adds the rest.
//  2. Where a series has a sample at a time already, in the history or earlier in the input,
//     that one stays.
//  3. The order of the samples is free. Memory has a bound, whatever their number: chunks go
//     to a file, and when what is known about them reaches the bound, blocks are made of them.
//
// The blocks span up to 54 hours, one of tsdb's own steps, so that it can merge them. They
// are marked as made of late samples, because tsdb takes the end of any other block for the
// beginning of what is in memory, and leaves out what its log has from before.
//
// Where guarantee 2 ends: samples of the same series and time that lie more than about 500
// million samples apart in the input; and samples of the last hours that only the log has,
// when an earlier import has added blocks that are newer than they are. If the values
// differ there, either may be shown.
package backfill
