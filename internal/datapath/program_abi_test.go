package datapath

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf/btf"

	"github.com/gabion/gabion"
)

// TestReasonsAreTheSame holds the list in C and the one in Go together: values and names.
func TestReasonsAreTheSame(t *testing.T) {
	inC := map[uint64]string{}
	for _, v := range enum(t, "reason").Values {
		inC[v.Value] = v.Name
	}
	if inC[0] != "REASON_NONE" {
		t.Errorf("0 is %s in C", inC[0])
	}
	delete(inC, 0)
	for _, r := range gabion.Reasons() {
		want := strings.ToUpper(r.Verdict().String() + "_" + strings.ReplaceAll(r.String(), "-", "_"))
		if got := inC[uint64(r)]; got != want {
			t.Errorf("%d is %s in C, and %s (%s) in Go", r, got, r, want)
		}
		delete(inC, uint64(r))
	}
	for value, name := range inC {
		t.Errorf("%d is %s in C, and nothing in Go", value, name)
	}
}

func TestDirectionsAreTheSame(t *testing.T) {
	for _, v := range enum(t, "direction").Values {
		if got := strings.ToUpper(gabion.Direction(v.Value).String()); got != v.Name {
			t.Errorf("%d is %s in C, and %s in Go", v.Value, v.Name, got)
		}
	}
}

func enum(t *testing.T, name string) *btf.Enum {
	t.Helper()
	spec, err := loadBpf()
	if err != nil {
		t.Fatalf("load spec: %v", err)
	}
	var e *btf.Enum
	if err := spec.Types.TypeByName(name, &e); err != nil {
		t.Fatalf("find enum %s: %v", name, err)
	}
	return e
}

// TestSizes holds what memory was counted with, and that nothing is padded where the programs compare bytes.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		value any
		want  uintptr
	}{
		{bpfFlowKey{}, 40},
		{bpfFlow{}, 32},
		{bpfOpeners{}, 56 + 8*72},
		{bpfFragmentKey{}, 40},
		{bpfFragment{}, 20},
		{bpfMember4Key{}, 8},
		{bpfMember6Key{}, 20},
		{bpfMember{}, 8},
		{bpfPolicyKey{}, 12},
		{bpfCidrKey{}, 20},
		{bpfNamedKey{}, 20},
		{bpfToldKey{}, 28},
		{bpfIdKey{}, 20},
		{bpfEvent{}, 64},
		{bpfNic{}, 184},
		{skb{}, 192},
	} {
		if got := reflect.TypeOf(c.value).Size(); got != c.want {
			t.Errorf("%T has %d bytes, want %d", c.value, got, c.want)
		}
	}
	var k skb
	if at := fmt.Sprint(unsafe.Offsetof(k.Ifindex), unsafe.Offsetof(k.GSOSize)); at != "40 176" {
		t.Errorf("ifindex and gso_size of an skb are at %s", at)
	}
}
