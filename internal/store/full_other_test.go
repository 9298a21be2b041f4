//go:build !linux

package store

// fullEnv and runOnFullDisk are of a test that only Linux can run.
const fullEnv = "STRIPCHART_STORE_FULL_TEST_DIR"

func runOnFullDisk(string) int { return 1 }
