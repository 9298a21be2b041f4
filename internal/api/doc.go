// Package api answers the Prometheus HTTP API, so that Grafana and other tools read what
// the store holds. Prometheus's engine evaluates; the handlers are ours, because
// Prometheus's own package brings 250 packages.
//
// Guarantees:
//
//  1. A sample that was acknowledged and recorded is in every answer that is asked for
//     later, with its exact value and time.
//  2. Answers have the form of Prometheus 3: status, data, errorType, error, warnings,
//     infos. A number in an answer is the shortest text that reads back as the same float64.
//  3. Queries cannot starve pages, nor hold up compaction for long: as many as the store's
//     share for queries allows are evaluated at once, each for a limited time, with a limited
//     number of samples in memory.
//  4. An answer is complete, or an error, or has a warning: that it was truncated by the
//     caller's limit, that samples may be missing in a declared gap, that part of the history is
//     damaged, that the disk is full.
//  5. An export needs the same memory whatever its size, holds nothing open while its client
//     does not read, and is cut where it cannot go on, so that no part is taken for the whole.
//
// The store holds floats alone: native histograms, exemplars, rules and alerts are not
// there, and their endpoints answer with nothing. Declared gaps are told with the
// answers of expressions alone.
package api
