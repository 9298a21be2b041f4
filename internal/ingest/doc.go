// Package ingest is the endpoint for writers: requests over HTTP become batches on the bus.
// docs/HTTP.md describes the exchanges.
//
// Requests of all formats go the same way. The Endpoint bounds a request, reads and decompresses the
// body, judges the samples and the new series, brings the batch to the bus, and decides the answer
// (write.go). A format (format.go) reads the head of the request, decodes the body, and words the
// answer; each has a file of its own:
//
//	remotewrite.go  Prometheus Remote-Write 2.0, with the sequence of our own sources, and 1.0
//	push.go         lines of text, as people and scripts print numbers
//	lineprotocol.go InfluxDB's line protocol, with what its agents ask for first in influx.go
//	otlp.go         OpenTelemetry's protocol, in protobuf and JSON: otlpvalue.go reads both, otlpdecode.go and
//	                otlppoint.go make series of them, and totals.go adds up increases
//
// Guarantees:
//
//  1. A success (2xx) means that everything in the request is in the log: the bus has
//     acknowledged it. What a request holds that is not written is said in the answer, with
//     counts, reasons and the first offender; what is valid beside it is written.
//  2. Answers follow the format's specification, so that a writer sends again what may be
//     accepted later, and only that.
//  3. A batch with a sequence (package httpbus has the headers) reaches the log as
//     it was sent, its duplicates too: readers know duplicates by the sequence. The exceptions
//     are series whose labels are not valid, which are refused alike each time, and new
//     series beyond the bound, which stay refused under that number. A number that its
//     source cannot have reached is answered 429.
//  4. While the store has no room, nothing reaches the bus: 507.
//  5. Memory is bounded: what has arrived of bodies, what they claim to decompress to, symbols, series,
//     labels, and the number and bytes of all requests under way. A request above the last two bounds
//     is told to come again; nothing queues. Memory is counted as the bytes arrive, not by the
//     announced length. A body that does not arrive in time is given up.
//  6. Series in memory are bounded (Options.MaxSeries), before the bus: new series beyond the bound are
//     refused with the reason, known ones go on. New series of a minute are bounded too
//     (Options.MaxNewSeries): more are told to come again. Batches that reach the bus without this
//     endpoint are not judged: programs that can reach Redis, and the collector of this machine, are
//     trusted.
package ingest
