// Package scrape reads metrics endpoints of Prometheus's kind, at any interval, and makes batches of what they expose.
//
// Guarantees:
//
//  1. Targets are read at the multiples of their interval since the Unix epoch. A sample has the time
//     of that tick, unless the target names a time. Then the sample has the named time, and a time that
//     the next answer names again is the same sample, not a new one. A tick that is missed is left out,
//     as package schedule says.
//  2. Values are kept as they are exposed: a counter stays a counter.
//  3. A series has the labels that the target gives it, and job and instance. A label of the target that is called
//     job or instance becomes exported_job or exported_instance. So a Prometheus does.
//  4. Each tick leads to a sample of up (1: the target was read; 0: it was not), of scrape_duration_seconds and of
//     scrape_samples_scraped.
//  5. A series that an answer no longer has ends with Prometheus's stale marker at that tick; all
//     series of a target do when it cannot be read. Series whose times the target names get no marker:
//     their times say how old they are.
//  6. A line that cannot be read costs that line only, and is counted. An answer of which nothing can be read, which
//     ends early, or which exceeds a bound, is a target that cannot be read.
//  7. Memory is bounded: the bytes of an answer as decompressed, its series, and the series that a
//     target has had in an hour. Beyond the last bound new series are left out and counted, and known
//     series go on.
//  8. Histograms are the classic series of their text form. Exemplars are left out and counted. Neither native
//     histograms nor protobuf are asked for.
package scrape
