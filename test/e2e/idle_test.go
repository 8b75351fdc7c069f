package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

const (
	idleInterfaces = 100
	idleTime       = 20 * time.Second // as collectEvery of the agent, the slowest that it does
	idleMost       = 0.01             // of one processor
	ticks          = 100              // of /proc/PID/stat in a second
)

// An agent that has nothing to do takes next to nothing, with its server and without.
func TestIdleAgent(t *testing.T) {
	if testing.Short() {
		t.Skip("takes its time")
	}
	s := newSite(t)
	s.start(t)
	s.openGroup(t)
	h1 := s.lab.Hosts()[0]
	for n := range idleInterfaces {
		name := fmt.Sprintf("idle%d", n)
		err := h1.Namespace().Do(func() error {
			bridge, err := netlink.LinkByName("br0")
			if err != nil {
				return err
			}
			return netlink.LinkAdd(&netlink.Veth{
				LinkAttrs: netlink.LinkAttrs{Name: name, MasterIndex: bridge.Attrs().Index}, PeerName: name + "p",
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		s.run(t, fmt.Sprintf("instance create %s --host h1 --interface %s --mac 02:99:00:00:00:%02x --ip 10.77.1.%d --group open", name, name, n, n))
	}
	pid := agentOf(t, filepath.Join(s.lab.Dir(), "h1"))
	s.checkIdle(t, "with its server", pid)
	if err := s.server.Kill(); err != nil {
		t.Fatal(err)
	}
	s.checkIdle(t, "without", pid)
}

func (s *site) checkIdle(t *testing.T, when, pid string) {
	t.Helper()
	time.Sleep(2 * time.Second) // what there is to do after a change
	before := ticksOf(t, pid)
	time.Sleep(idleTime)
	share := float64(ticksOf(t, pid)-before) / ticks / idleTime.Seconds()
	t.Logf("an agent with %d interfaces, %s: %.2f %% of a processor", idleInterfaces, when, 100*share)
	if share > idleMost {
		t.Errorf("idle %s, it takes %.2f %% of a processor", when, 100*share)
	}
}

// agentOf is the process whose command line names the state directory.
func agentOf(t *testing.T, dir string) (pid string) {
	t.Helper()
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err == nil && bytes.Contains(text, []byte(dir+"\x00")) {
			return filepath.Base(filepath.Dir(path))
		}
	}
	t.Fatalf("no process uses %s", dir)
	return ""
}

// ticksOf is the processor time that a process has used.
func ticksOf(t *testing.T, pid string) (sum int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+2:]))
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}
