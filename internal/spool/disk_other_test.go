//go:build !linux

package spool

import "testing"

// limitFiles has no means here: the model's disk never gets full.
func limitFiles(t *testing.T, size uint64) (lift func()) { return func() {} }
