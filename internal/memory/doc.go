// Package memory keeps the process below a bound of its memory.
//
// A bound is found where the administrator has set one: see [Bound]. Go's collector is told to keep
// below 85 % of it (debug.SetMemoryLimit), working harder near there. What it cannot
// collect is what is in use, and where that reaches 80 %, [Watermark.High] says so, until it
// is below 70 %. Whoever asks refuses then what would hold more memory: pages that
// would join, series that are new. What is there goes on. The rest up to the bound is for
// what is under way, and for the kernel's buffers, which count in a control group.
//
// Guarantees:
//
//  1. High is an atomic load: it may be asked for each sample.
//  2. One goroutine, Run, measures, five times a second, without stopping the world. While High,
//     it has the collector run every few seconds, so that memory that was given back is seen.
package memory
