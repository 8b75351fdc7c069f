package datapath

import (
	"errors"
	"testing"

	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"
)

var (
	byteType  = &btf.Int{Name: "__u8", Size: 1}
	shortType = &btf.Int{Name: "__u16", Size: 2}
)

// layoutOf lays fields out one after the other.
func layoutOf(fields ...btf.Member) *btf.Struct {
	s := &btf.Struct{Name: "flow"}
	for _, f := range fields {
		size, err := btf.Sizeof(f.Type)
		if err != nil {
			panic(err)
		}
		f.Offset = btf.Bits(s.Size * 8)
		s.Members = append(s.Members, f)
		s.Size += uint32(size)
	}
	return s
}

func field(name string, of btf.Type) btf.Member { return btf.Member{Name: name, Type: of} }

func TestLayoutsAreConvertedByName(t *testing.T) {
	pair := &btf.Array{Index: byteType, Type: byteType, Nelems: 2}
	ours := layoutOf(field("a", byteType), field("b", shortType), field("c", pair), field("pad", byteType))
	for _, c := range []struct {
		name   string
		theirs *btf.Struct
		value  []byte
		want   []byte // nil: nothing can be taken over
	}{
		{"the same", ours, []byte{1, 2, 3, 4, 5, 6}, []byte{1, 2, 3, 4, 5, 0}},
		{
			"moved, and one that we don't know", layoutOf(field("c", pair), field("new", shortType), field("b", shortType), field("a", byteType)),
			[]byte{4, 5, 9, 9, 2, 3, 1},
			[]byte{1, 2, 3, 4, 5, 0},
		},
		{
			"one that they didn't know", layoutOf(field("b", shortType), field("a", byteType)),
			[]byte{2, 3, 1},
			[]byte{1, 2, 3, 0, 0, 0},
		},
		{"one that we need and they didn't know", layoutOf(field("b", shortType), field("c", pair)), nil, nil},
		{"another size", layoutOf(field("a", shortType), field("b", shortType)), nil, nil},
		{"a struct now", layoutOf(field("a", layoutOf(field("x", byteType)))), nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			conversion, err := newConversion(c.theirs, ours, "a")
			if c.want == nil {
				if !errors.Is(err, errLayout) {
					t.Errorf("error %v, want that the layout is not known", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, ours.Size)
			conversion.convert(c.value, got)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("value (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStructsInStructsAreConverted(t *testing.T) {
	ours := layoutOf(field("at", layoutOf(field("x", byteType), field("y", byteType))))
	theirs := layoutOf(field("new", byteType), field("at", layoutOf(field("y", byteType), field("x", byteType))))
	c, err := newConversion(theirs, ours, "at")
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, ours.Size)
	c.convert([]byte{9, 2, 1}, got)
	if diff := cmp.Diff([]byte{1, 2}, got); diff != "" {
		t.Errorf("value (-want +got):\n%s", diff)
	}
}

// TestFlowsOnlyGrow: of two accounts of one flow the one that has seen more counts.
func TestFlowsOnlyGrow(t *testing.T) {
	const syn, established, closing = bpfFlowStateFLOW_HALF_OPEN, bpfFlowStateFLOW_ESTABLISHED, bpfFlowStateFLOW_CLOSING
	for _, c := range []struct {
		name               string
		ours, theirs, want bpfFlow
		grows              bool
	}{
		{"the same", bpfFlow{State: syn}, bpfFlow{State: syn}, bpfFlow{State: syn}, false},
		{"we have seen more", bpfFlow{State: closing, Flags: flowFIN}, bpfFlow{State: established}, bpfFlow{State: closing, Flags: flowFIN}, false},
		{"they have seen an answer", bpfFlow{State: syn, LastSeen: 5}, bpfFlow{State: established, LastSeen: 3}, bpfFlow{State: established, LastSeen: 5}, true},
		{
			"they have seen what the other side said",
			bpfFlow{State: syn, Flags: flowEnd, End: [2]uint32{7, 0}},
			bpfFlow{State: syn, Flags: flowEnd | flowEnd<<1 | flowACK<<1 | flowFIN, End: [2]uint32{1, 2}, Ack: [2]uint32{3, 4}},
			bpfFlow{State: syn, Flags: flowEnd | flowEnd<<1 | flowACK<<1 | flowFIN, End: [2]uint32{7, 2}, Ack: [2]uint32{0, 4}},
			true,
		},
		{"another one", bpfFlow{State: syn}, bpfFlow{State: established, Flags: flowEgress}, bpfFlow{State: syn}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.ours
			if grows := got.surpass(c.theirs); grows != c.grows || got != c.want {
				t.Errorf("%+v, grows is %t", got, grows)
			}
		})
	}
}
