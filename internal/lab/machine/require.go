package machine

import (
	"os"
	"os/exec"
	"testing"
)

// emulator runs machines.
const emulator = "qemu-system-x86_64"

// Require skips the test if no machine can be started here. In CI (the environment
// has CI=true) it fails it instead: a test that can never run proves nothing.
func Require(t testing.TB) {
	t.Helper()
	_, _, err := findKernel()
	if err == nil {
		_, err = exec.LookPath(emulator)
	}
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("needs a real guest, and CI has none: %v", err)
	default:
		t.Skipf("needs a real guest: %v", err)
	}
}
