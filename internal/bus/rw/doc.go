// Package rw is how a batch is written, on Redis and over HTTP between our own
// processes: a Prometheus Remote-Write 2.0 request
// (io.prometheus.write.v2.Request) in snappy's block format. There is no
// format of our own, and Decode takes the requests of strangers too. Requests of Remote-Write
// 1.0 (prometheus.WriteRequest), which only strangers send, are read by DecodeMessage1.
//
// The request holds the series and their float samples. The batch's source,
// sequence number and merged count are not in it; they travel beside it (as
// fields of a Redis entry, or as HTTP headers).
//
//	symbols:    ["", "__name__", "cpu_usage_percent", "host", "web1"]
//	timeseries: [{labels_refs: [1, 2, 3, 4], samples: [{value: 3.5, timestamp: 1544608800000}]}]
//
// Guarantees:
//
//  1. Decode(Encode(b)) holds the same series, labels and samples as b, to the
//     bit (every NaN keeps its pattern; -0 becomes 0, which Prometheus's own
//     type does not write), in the same order.
//  2. Decode looks at the announced length before it decompresses, and needs at
//     most a small multiple of Limits.Bytes of memory, whatever it is given: it
//     counts symbols, series, samples and the bytes of labels that share symbols.
//  3. What Decode returns keeps the rules of bus.Batch: labels as bus.LabelBuilder
//     makes them, each series once, times strictly ascending. That holds for what an
//     older version wrote too: a label with an empty value, which once was kept, is left
//     out here, so that the series is the one that the store has.
//  4. Nothing is dropped silently: what cannot be kept is counted in Report. One
//     bad series does not cost the others.
package rw
