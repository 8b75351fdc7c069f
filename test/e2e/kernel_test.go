package e2e_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/gabion/gabion/internal/privilege"
)

// asking is the variable that makes this test binary ask the kernel one question.
const asking = "GABION_TEST_ASK"

// questions are what the agent asks of the kernel and the kernel does not grant everybody.
var questions = map[string]func() error{
	"make a map": func() error { _, err := newMap(); return err },
	"open a map by its number": func() error {
		m, err := newMap()
		if err != nil {
			return err
		}
		info, err := m.Info()
		if err != nil {
			return err
		}
		id, _ := info.ID()
		_, err = ebpf.NewMapFromID(id)
		return err
	},
	"make a tap": func() error {
		f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close() // the tap goes with it
		request, err := unix.NewIfreq("gabask%d")
		if err != nil {
			return err
		}
		request.SetUint16(unix.IFF_TAP)
		return unix.IoctlIfreq(int(f.Fd()), unix.TUNSETIFF, request)
	},
}

func newMap() (*ebpf.Map, error) {
	return ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
}

// TestKernelAnswers asks what its environment says, for the test below.
func TestKernelAnswers(t *testing.T) {
	ask, ok := questions[os.Getenv(asking)]
	if !ok {
		return
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
}

// The agent's capabilities are those that the kernel asks for: with less, it refuses.
func TestWhatTheKernelAsksFor(t *testing.T) {
	privilege.Require(t)
	for _, tt := range []struct{ question, enough, lacking string }{
		// CAP_SYS_ADMIN has been enough for what CAP_BPF is for since before that was there.
		{"make a map", "+bpf", "+net_admin"},
		{"make a map", "+sys_admin", "+net_admin"},
		{"open a map by its number", "+bpf,+sys_admin", "+bpf,+net_admin,+perfmon"},
		{"make a tap", "+net_admin", "+bpf,+sys_admin"},
	} {
		if out, err := answers(tt.question, tt.enough); err != nil {
			t.Errorf("%s with %s: %v\n%s", tt.question, tt.enough, err, out)
		}
		out, err := answers(tt.question, tt.lacking)
		var exit *exec.ExitError
		if !errors.As(err, &exit) || !strings.Contains(out, "not permitted") {
			t.Errorf("%s with %s: %v, want it not permitted\n%s", tt.question, tt.lacking, err, out)
		}
	}
}

// answers runs this binary with those capabilities and nothing but one question.
func answers(question, capabilities string) (string, error) {
	cmd := exec.Command("setpriv", "--bounding-set=-all,"+capabilities, os.Args[0], "-test.run=^TestKernelAnswers$")
	cmd.Env = append(os.Environ(), asking+"="+question)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
