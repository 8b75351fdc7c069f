// Package privilege lets a test say that it needs root. It must not know what for.
package privilege

import (
	"os"
	"testing"
)

// Require skips the test if it does not run as root. In CI (the environment has
// CI=true) it fails it instead: a test that can never run proves nothing.
func Require(t testing.TB) {
	t.Helper()
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("CI") == "true":
		t.Fatal("needs root, and CI runs without it: run the tests as root")
	default:
		t.Skip("needs root")
	}
}
