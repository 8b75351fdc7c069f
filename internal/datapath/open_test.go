package datapath_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/datapath"
	"github.com/gabion/gabion/internal/privilege"
	"golang.org/x/sys/unix"
)

func TestWhatAHostLacksIsSaidWithItsRemedy(t *testing.T) {
	const all = ^uint64(0)
	for _, c := range []struct {
		name         string
		capabilities uint64
		kernel       uint32
		types        bool
		want         string // empty: nothing is missing
	}{
		{"root on a new kernel", all, 6<<16 | 6<<8, true, ""},
		{"a newer one", all, 7 << 16, true, ""},
		{"not root", 0, 6<<16 | 6<<8, true, "start the agent as root"},
		{"root without eBPF", all &^ (1 << unix.CAP_BPF), 6<<16 | 6<<8, true, "CAP_BPF"},
		{"an old kernel", all, 6<<16 | 5<<8 | 99, true, "kernel 6.5 has no tcx; install Linux 6.6 or newer"},
		{"a kernel without its types", all, 6<<16 | 6<<8, false, "install a kernel with CONFIG_DEBUG_INFO_BTF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := datapath.Missing(c.capabilities, c.kernel, c.types)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestOpenRefusesWhereItCannotPin(t *testing.T) {
	privilege.Require(t)
	for _, c := range []struct{ name, dir, want string }{
		{"no BPF file system", filepath.Join(t.TempDir(), "pins"), "mount -t bpf"},
		{"a dot", fmt.Sprintf("/sys/fs/bpf/gabion-dp-%d.d", os.Getpid()), "no dot"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := datapath.Open(datapath.Config{Dir: c.dir, Log: slog.New(slog.DiscardHandler)})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, c.want)
			}
			if _, err := os.Stat(c.dir); err == nil {
				t.Errorf("%s was half created", c.dir)
			}
		})
	}
}

// TestMapsOfAnotherLayoutAreRefused, and left alone: they enforce.
func TestMapsOfAnotherLayoutAreRefused(t *testing.T) {
	h := newHost(t)
	pin := filepath.Join(h.dir, "config_v2")
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(pin); err != nil {
		t.Fatal(err)
	}
	other, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 64, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.Pin(pin); err != nil {
		t.Fatal(err)
	}
	_, err = datapath.Open(datapath.Config{Dir: h.dir, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "another layout") {
		t.Errorf("error %v, want one about the layout", err)
	}
	if _, err := os.Stat(filepath.Join(h.dir, "nics_v2")); err != nil {
		t.Errorf("the maps in force are gone: %v", err)
	}
	if err := os.Remove(pin); err != nil {
		t.Fatal(err)
	}
	h.open(t)
}

// TestANewAgentBringsItsPrograms to interfaces that were attached before it.
func TestANewAgentBringsItsPrograms(t *testing.T) {
	h := newHost(t)
	ifindex := addInterface(t, "tap0")
	h.apply(t, oneRule(gabion.Rule{}), map[string]int{"tap0": ifindex})
	before := programsOf(t, ifindex)
	h.reopen(t)
	after := programsOf(t, ifindex)
	for i := range before {
		if before[i].link != after[i].link {
			t.Errorf("link %d was replaced by link %d: frames passed unfiltered in between", before[i].link, after[i].link)
		}
		if before[i].program == after[i].program {
			t.Errorf("link %d still runs the program of the agent before", after[i].link)
		}
	}
}

type attachment struct {
	link    link.ID
	program ebpf.ProgramID
}

// programsOf are what is attached to an interface, ingress first.
func programsOf(t *testing.T, ifindex int) (all []attachment) {
	t.Helper()
	for _, hook := range []ebpf.AttachType{ebpf.AttachTCXIngress, ebpf.AttachTCXEgress} {
		q, err := link.QueryPrograms(link.QueryOptions{Target: ifindex, Attach: hook})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range q.Programs {
			id, _ := p.LinkID()
			all = append(all, attachment{id, p.ID})
		}
	}
	return all
}

func wantPrograms(t *testing.T, ifindex, want int) {
	t.Helper()
	if got := len(programsOf(t, ifindex)); got != want {
		t.Errorf("interface %d has %d programs, want %d", ifindex, got, want)
	}
}
