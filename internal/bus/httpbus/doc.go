// Package httpbus is the way of batches to a server over HTTP, for sources that
// should not reach the log itself. What it sends is Prometheus Remote-Write 2.0
// with a few headers more (headers.go); docs/HTTP.md describes the exchange.
//
// Guarantees:
//
//  1. Publish returns nil only when the server has acknowledged the batch, which
//     it does when its own bus has. A success from something that is no
//     receiver of Remote-Write 2.0 (a portal, another program) is an error.
//  2. Any other error says nothing about whether the batch arrived, so a source
//     publishes the same batch (same Seq) again, and readers skip the copy. Only
//     three say that it does not: ErrRefused (another try cannot succeed),
//     bus.ErrNotAllWritten and bus.ErrNotStored (it is in the log).
//  3. Batches arrive in the order in which Publish is called, as long as one call
//     is in flight. There is no queue here: a source has its own.
//  4. Every call honours its context and a timeout of its own. What a server
//     answers is read up to a bound.
//  5. Where a server asks to be left alone for a time (Retry-After), the next Publish
//     waits, at most 30 s: nobody who calls it can forget to.
//  6. A password in the URL is sent and appears in no error.
package httpbus
