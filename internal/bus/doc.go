// Package bus is the ordered log of batches between sources and servers.
//
// Guarantees, for every implementation (package bustest checks them):
//
//  1. Publish returns nil only when the batch is in the log: in memory, when
//     the server has committed it; on Redis, when XADD was acknowledged.
//  2. Batches of one source are delivered in the order of their sequence
//     numbers, as long as the source has one Publish in flight.
//  3. Tail delivers every retained batch after the position it was given,
//     once, in log order, each with its position. Where that position is no
//     longer retained, it returns ErrPositionLost before it delivers anything;
//     it never skips silently.
//  4. Positions of one epoch are ordered. A new epoch begins whenever the log
//     lost its end.
//  5. Every call honours its context. Every queue has a bound in bytes; when
//     it is full, Publish waits for room until its context ends.
package bus
