package policy_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/gabion/gabion"
)

// TestMain holds that the tests saw every reason that there is.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 && flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.list").Value.String() == "" {
		for _, reason := range gabion.Reasons() {
			if !hit[reason] {
				fmt.Fprintf(os.Stderr, "no test gets %s\n", reason)
				code = 1
			}
		}
	}
	os.Exit(code)
}
