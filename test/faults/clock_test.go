package faults_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/gabion/gabion"
)

// The filters know no clock but the one that nobody sets.
func TestFiltersReadNoWallClock(t *testing.T) {
	spec, err := ebpf.LoadCollectionSpec("../../internal/datapath/bpf_bpfel.o")
	must(t, err)
	monotonic := 0
	for name, p := range spec.Programs {
		for _, i := range p.Instructions {
			if !i.IsBuiltinCall() {
				continue
			}
			switch asm.BuiltinFunc(i.Constant) {
			case asm.FnKtimeGetNs, asm.FnKtimeGetBootNs, asm.FnKtimeGetCoarseNs:
				monotonic++
			case asm.FnKtimeGetTaiNs:
				t.Errorf("%s reads a clock that can be set", name)
			default: // the others read no clock
			}
		}
	}
	if monotonic == 0 {
		t.Error("no filter reads any clock: the test looks at nothing")
	}
}

// clockVariable names a file that says how many seconds a program's wall clock is wrong.
const clockVariable = "GABION_FAULTS_CLOCK"

// The wall clocks of the server and of an agent jump; those of everybody else don't. A
// process's real clock can't be set without all others': both are the real programs,
// built with a library whose wall clock has an error that a file tells. The clock that
// only goes forward is the machine's.
func TestClockJumps(t *testing.T) {
	r := begin(t)
	if !*full {
		r.result.state = notRun // the standard library has to be compiled anew: the long version does it
		return
	}
	s := newSite(t)
	clock := filepath.Join(s.lab.Dir(), "clock")
	set := func(d time.Duration) { must(t, os.WriteFile(clock, fmt.Appendf(nil, "%d", int64(d.Seconds())), 0o600)) }
	set(0)
	t.Setenv(clockVariable, clock)
	wrong := build(t, "dev", otherClock(t))
	right := program
	program = wrong
	defer func() { program = right }()
	s.start(t)
	traffic := s.startTraffic(t)
	const year = 365 * 24 * time.Hour
	for _, jump := range []time.Duration{time.Hour, -time.Hour, 10 * year, -10 * year} {
		set(jump)
		time.Sleep(time.Second)
		if err := s.write(t); gabion.CodeOf(err) != gabion.CodeForbidden {
			t.Errorf("clock wrong by %s: a signature of another time: %v, want it to be refused", jump, err)
		}
		for _, a := range s.agents {
			must(t, a.Kill())
			must(t, a.Start())
		}
		time.Sleep(2 * time.Second)
		set(0)
		back := s.settled(t)
		r.within(fmt.Sprintf("after a jump by %s, and back, all at the newest policy within", jump), back, 30*time.Second)
	}
	churn := s.startChurn(t, 20)
	churn.wait(t)
	r.packets(traffic)
	r.converged(s, churn)
}

// otherClock is an overlay in which the wall clock is wrong.
func otherClock(t *testing.T) map[string]string {
	t.Helper()
	library := filepath.Join(runtime.GOROOT(), "src", "time") //nolint:staticcheck // where the sources are that are built
	path := filepath.Join(library, "time.go")
	source, err := os.ReadFile(path)
	must(t, err)
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(source), now) != 1 {
		t.Fatal("the standard library reads its clock in another way than this test knows")
	}
	return map[string]string{
		path:                               strings.Replace(string(source), now, now+"\tsec += wrongSeconds.Load()\n", 1),
		filepath.Join(library, "wrong.go"): wrongClock,
	}
}

const wrongClock = `package time

import (
	"sync/atomic"
	"syscall"
)

var wrongSeconds atomic.Int64

// Timers read the clock where nothing may be waited for: the file is read beside them.
func init() {
	path, _ := syscall.Getenv("` + clockVariable + `")
	if path == "" {
		return
	}
	wrongRead(path)
	go func() {
		for {
			Sleep(50 * Millisecond)
			wrongRead(path)
		}
	}()
}

func wrongRead(path string) {
	fd, err := syscall.Open(path, syscall.O_RDONLY, 0)
	if err != nil {
		return
	}
	defer syscall.Close(fd)
	text := make([]byte, 32)
	n, _ := syscall.Read(fd, text)
	if seconds, ok := wrongNumber(text[:max(n, 0)]); ok {
		wrongSeconds.Store(seconds)
	}
}

func wrongNumber(text []byte) (n int64, ok bool) {
	sign := int64(1)
	for i, c := range text {
		switch {
		case i == 0 && c == '-':
			sign = -1
		case c < '0' || c > '9':
			return 0, false
		default:
			n, ok = 10*n+int64(c-'0'), true
		}
	}
	return sign * n, ok
}
`
