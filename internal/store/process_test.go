package store_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/gabion/gabion/internal/etcdcluster"
)

// roles are what the test binary is when it is started as a process to be
// killed: by environment variable, whose value is the role's argument.
var roles = map[string]func(string){
	"GABION_TEST_WRITER": runWriter,
}

func TestMain(m *testing.M) {
	etcdcluster.Main()
	for name, run := range roles {
		if argument := os.Getenv(name); argument != "" {
			go dieWithParent()
			run(argument)
			return
		}
	}
	os.Exit(m.Run())
}

func dieWithParent() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(1)
}

// spawn starts the test binary in a role. What it prints can be scanned.
func spawn(t *testing.T, role, argument string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), role+"="+argument)
	_, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	return cmd, bufio.NewScanner(out)
}

// kill ends a process as a power cut would.
func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it says that it was killed
}
