// Package httpbus publishes batches to a server over HTTP, for sources that should not
// reach the log itself. It sends Prometheus Remote-Write 2.0 with a few more headers
// (headers.go); docs/HTTP.md describes requests and responses.
//
// Guarantees:
//
//  1. Publish returns nil only when the server has acknowledged the batch. The server
//     does so when its own bus has. A success from a program that is no receiver of
//     Remote-Write 2.0 (a captive portal, say) is an error.
//  2. Any other error does not say whether the batch arrived, so a source publishes the
//     same batch (same Seq) again, and readers skip the duplicate. There are three
//     exceptions: bus.ErrRefused (another attempt cannot succeed), bus.ErrNotAllWritten
//     and bus.ErrNotStored (the batch is in the log).
//  3. Batches arrive in the order in which Publish is called, as long as one call
//     is in flight. There is no queue here: a source has its own.
//  4. Every call honours its context and a timeout of its own. Responses are read up to
//     a bound.
//  5. If a response has Retry-After, the next Publish waits for that long, at most 30 s,
//     so that no caller can forget to.
//  6. A password in the URL, or a token, is sent and appears in no error.
package httpbus
