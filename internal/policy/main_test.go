package policy_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/gabion/gabion"
)

// TestMain holds that the tests, if all of them ran, saw every reason that there is.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 && ranAll() {
		for _, reason := range gabion.Reasons() {
			if !hit[reason] {
				fmt.Fprintf(os.Stderr, "no test gets %s\n", reason)
				code = 1
			}
		}
	}
	os.Exit(code)
}

func ranAll() bool {
	for _, selection := range []string{"test.run", "test.skip", "test.list", "test.fuzz"} {
		if flag.Lookup(selection).Value.String() != "" {
			return false
		}
	}
	return true
}
