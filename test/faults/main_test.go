package faults_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

var (
	full   = flag.Bool("full", false, "do everything as often as docs/reliability.md says, and hold the times to it")
	lasts  = flag.Duration("lasts", 2*time.Second, "how long a fault lasts that may last as long as one likes")
	page   = flag.String("page", "", "`FILE` to write the tables into, between their marks")
	worked = flag.Bool("v-traffic", false, "write what each sender held")
)

// program is the gabion that is broken.
var program string

// roles are what the test binary is when it is started as another process, by
// environment variable, whose value is the role's argument.
var roles = map[string]func(string){}

func TestMain(m *testing.M) {
	flag.Parse()
	for name, run := range roles {
		if argument, is := os.LookupEnv(name); is {
			run(argument)
			return
		}
	}
	if !*full {
		// Sites don't know of each other, and mostly wait.
		if err := flag.Set("test.parallel", "8"); err != nil {
			panic(err)
		}
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	if os.Geteuid() != 0 {
		return m.Run() // every test says that it needs root
	}
	dir, err := os.MkdirTemp("", "gabion-faults-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "gabion")
	build := exec.Command("go", "build", "-o", program, "../../cmd/gabion")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build gabion: %v\n%s", err, out)
		return 1
	}
	code := m.Run()
	if err := publish(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// times is how often something is done: as often as the page says, or a few times.
func times(short, all int) int {
	if *full {
		return all
	}
	return short
}
