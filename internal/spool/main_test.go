package spool

import (
	"os"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		os.Exit(runChild(dir))
	}
	// The go command's own record of the files that are opened would be cut short by
	// limitFiles, and fail the run. Without it the result is not cached.
	os.Args = slices.DeleteFunc(os.Args, func(arg string) bool { return strings.HasPrefix(arg, "-test.testlogfile=") })
	goleak.VerifyTestMain(m)
}
