// Package ingest is the door for writers: Remote-Write 2.0 over HTTP becomes
// batches on the bus. docs/HTTP.md describes the exchange.
//
// Guarantees:
//
//  1. A success (204) means that everything in the request is in the log: the bus
//     has acknowledged it. What a request holds that is not taken is said in the
//     answer, with counts, reasons and the first offender; what is valid beside it
//     is written.
//  2. Answers follow the Remote-Write 2.0 specification: 4xx but 429 is for good,
//     429 and 5xx are to be tried again with the same request, and the headers
//     X-Prometheus-Remote-Write-*-Written count what was written.
//  3. A batch with a sequence (package httpbus has the headers) reaches the log as
//     it was sent, its copies too: readers know copies by the sequence. The exceptions
//     are series whose labels are not valid, which are refused alike each time, and new
//     series beyond the bound, which stay refused under that number. A number that its
//     source cannot have reached is answered 429.
//  4. While the store has no room, nothing reaches the bus: 507.
//  5. Memory is bounded: what has arrived of bodies, what they claim to decompress to,
//     symbols, series, labels, and the number and bytes of all requests under way. Above
//     the last two a request is answered 429; nothing queues. What was only announced
//     takes nothing from others, and a body that does not arrive in time is given up.
//  6. Series in memory are bounded (Options.MaxSeries), before the bus: new ones
//     beyond are refused with the reason, known ones go on. Batches that come by the bus
//     past this endpoint are not judged: whoever reaches Redis, and this machine's own
//     collector, is trusted.
package ingest
