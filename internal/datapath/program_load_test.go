package datapath

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// maxInstructions is what the verifier may look at in one program. The kernel's
// limit is a million; other kernels than this one may count differently.
const maxInstructions = 150_000

// TestProgramsLoadWithMargin holds that the verifier is far from giving up.
func TestProgramsLoadWithMargin(t *testing.T) {
	w := newPrograms(t)
	w.real()
	for name, p := range w.byName() {
		info, err := p.Info()
		w.must(err)
		verified, ok := info.VerifiedInstructions()
		if !ok {
			t.Fatalf("%s: the kernel doesn't tell how much it verified", name)
		}
		t.Logf("%s: %d instructions verified", name, verified)
		if verified > maxInstructions {
			t.Errorf("%s: the verifier looked at %d instructions, want at most %d", name, verified, maxInstructions)
		}
	}
}

// TestLookupsAreDirectCalls holds that the kernel knows, at each lookup, in what
// kind of map: else it makes an indirect call of it, which costs more than the
// lookup. A compiler that makes one call of two, for two maps, is enough.
func TestLookupsAreDirectCalls(t *testing.T) {
	w := newPrograms(t)
	w.real()
	indirect := helperOffset(t, "bpf_map_lookup_elem")
	for name, p := range w.byName() {
		info, err := p.Info()
		w.must(err)
		instructions, err := info.Instructions()
		w.must(err)
		for _, i := range instructions {
			if i.OpCode.JumpOp() == asm.Call && i.Src == asm.R0 && i.Constant == indirect {
				t.Errorf("%s has an indirect lookup near %v", name, i.Source())
			}
		}
	}
}

func (w *programs) byName() map[string]*ebpf.Program {
	return map[string]*ebpf.Program{
		bpfProgFromInstance: w.objects.FromInstance, bpfProgToInstance: w.objects.ToInstance, bpfProgCollectExpired: w.objects.CollectExpired,
	}
}

// helperOffset is how a loaded program names a helper: by its distance from a symbol of the kernel.
func helperOffset(t *testing.T, helper string) int64 {
	t.Helper()
	symbols, err := os.Open("/proc/kallsyms")
	if err != nil {
		t.Fatalf("read the kernel's symbols: %v", err)
	}
	defer symbols.Close()
	at := map[string]uint64{}
	for lines := bufio.NewScanner(symbols); lines.Scan(); {
		var address uint64
		var kind, name string
		if _, err := fmt.Sscanf(lines.Text(), "%x %s %s", &address, &kind, &name); err == nil &&
			(name == helper || strings.HasPrefix(name, "__bpf_call_base")) {
			at[name] = address
		}
	}
	if at[helper] == 0 || at["__bpf_call_base"] == 0 {
		t.Skip("the kernel doesn't show its symbols")
	}
	return int64(at[helper] - at["__bpf_call_base"])
}
