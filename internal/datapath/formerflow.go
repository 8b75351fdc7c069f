package datapath

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/cilium/ebpf/btf"
)

// flowConversion makes flows of another layout ours.
type flowConversion struct{ key, flow *conversion }

func newFlowConversion(theirs, ours *btf.Spec) (*flowConversion, error) {
	key, err := convertStruct(theirs, ours, "flow_key", flowKeyFields)
	if err != nil {
		return nil, err
	}
	flow, err := convertStruct(theirs, ours, "flow", flowFields)
	return &flowConversion{key: key, flow: flow}, err
}

// convert leaves out what admitted the flow: no epoch of ours is 0, so the policy is
// asked at the next packet, like after a revocation.
func (c *flowConversion) convert(key, value []byte) (k bpfFlowKey, f bpfFlow) {
	c.key.convert(key, memory(&k))
	c.flow.convert(value, memory(&f))
	f.Epoch, f.Rule = 0, 0
	return k, f
}

// openersConversion finds the flows in a set of half_open.
type openersConversion struct {
	tags, openers array
	key, flow     int // where an opener has them
	conversion    *flowConversion
}

func newOpenersConversion(theirs, ours *btf.Spec) (*openersConversion, error) {
	var set *btf.Struct
	if err := theirs.TypeByName("openers", &set); err != nil {
		return nil, fmt.Errorf("%w: %w", errLayout, err)
	}
	tags, _, err := arrayOf(set, "tags")
	if err != nil {
		return nil, err
	}
	openers, opener, err := arrayOf(set, "openers")
	if err != nil {
		return nil, err
	}
	if opener == nil || openers.n != tags.n {
		return nil, fmt.Errorf("%w: openers", errLayout)
	}
	key, hasKey := fieldOf(opener, "key")
	flow, hasFlow := fieldOf(opener, "flow")
	if !hasKey || !hasFlow {
		return nil, fmt.Errorf("%w: opener", errLayout)
	}
	c := &openersConversion{tags: tags, openers: openers, key: int(key.Offset.Bytes()), flow: int(flow.Offset.Bytes())}
	c.conversion, err = newFlowConversion(theirs, ours)
	return c, err
}

func (c *openersConversion) each(set []byte, yield func(bpfFlowKey, bpfFlow)) {
	for i := range c.openers.n {
		if !slices.ContainsFunc(c.tags.element(set, i), func(b byte) bool { return b != 0 }) {
			continue
		}
		opener := c.openers.element(set, i)
		yield(c.conversion.convert(opener[c.key:], opener[c.flow:]))
	}
}

// learnedConversion finds the link-local addresses that an instance has by duplicate
// address detection, which it does not repeat for us.
type learnedConversion struct {
	learned array
	address *conversion
}

func newLearnedConversion(theirs, ours *btf.Spec) (*learnedConversion, error) {
	var state *btf.Struct
	if err := theirs.TypeByName("nic_state", &state); err != nil {
		return nil, fmt.Errorf("%w: %w", errLayout, err)
	}
	learned, _, err := arrayOf(state, "learned")
	if err != nil {
		return nil, err
	}
	address, err := convertStruct(theirs, ours, "learned", learnedFields)
	return &learnedConversion{learned: learned, address: address}, err
}

// merge adds to our list what it lacks, and tells whether it did.
func (c *learnedConversion) merge(theirs []byte, ours *bpfNicState) (added bool) {
	list := &ours.Learned
	for i := range c.learned.n {
		found := list[0]
		c.address.convert(c.learned.element(theirs, i), memory(&found))
		if found.Address == (Address{}) {
			break
		}
		at := 0
		for at < len(list) && list[at].Address != (Address{}) && list[at].Address != found.Address {
			at++
		}
		if at < len(list) && list[at].Address != found.Address {
			list[at], added = found, true
		}
	}
	return added
}

func convertStruct(theirs, ours *btf.Spec, name string, needed []string) (*conversion, error) {
	var from, to *btf.Struct
	if err := theirs.TypeByName(name, &from); err != nil {
		return nil, fmt.Errorf("%w: %w", errLayout, err)
	}
	if err := ours.TypeByName(name, &to); err != nil {
		return nil, err
	}
	return newConversion(from, to, needed...)
}

// memory is what a value of a map's type consists of.
func memory[T any](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}

// surpass makes ours what both know of a flow, and tells whether that was more than ours.
// A flow that the other side opened is another.
func (f *bpfFlow) surpass(theirs bpfFlow) bool {
	const known = flowFIN | flowFIN<<1 | flowEnd | flowEnd<<1 | flowACK | flowACK<<1
	news := theirs.Flags & known &^ f.Flags
	if (f.Flags^theirs.Flags)&flowEgress != 0 || (news == 0 && theirs.State <= f.State) {
		return false
	}
	for side := range f.End {
		if news&(flowEnd<<side) != 0 {
			f.End[side] = theirs.End[side]
		}
		if news&(flowACK<<side) != 0 {
			f.Ack[side] = theirs.Ack[side]
		}
	}
	f.Flags |= news
	f.State = max(f.State, theirs.State)
	return true
}
