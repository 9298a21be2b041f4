// Package measure takes the figures of a benchmark: what a process has used,
// how long deliveries took, and the median of several runs. Linux only.
package measure
