package datapath

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// Keys and values of the maps, as bpf/abi.h lays them out and explains them.
type (
	// NIC is a value of nics.
	NIC = bpfNic
	// Address is an IPv6 address, or IPv4 as ::ffff:a.b.c.d.
	Address = bpfAddress
	// MemberKey is a key of members.
	MemberKey = bpfMember6Key
	// RemoteSet is a value of remote_sets: group numbers, sorted; 0 ends the list.
	RemoteSet = bpfRemoteSet
	// PolicyKey is a key of the tries in policies.
	PolicyKey = bpfPolicyKey
	// CIDRKey is a key of the tries in cidrs.
	CIDRKey = bpfCidrKey
)

// Constants of bpf/abi.h that say what a value means. (Limits are read from the maps.)
const (
	PeerClass           = 0x80000000 // PEER_CLASS
	EgressClosed        = 1          // POLICY_SET_EGRESS_CLOSED
	groupsPerRemote     = 16         // GROUPS_PER_REMOTE
	addressesPerFamily  = 8          // ADDRESSES_PER_FAMILY
	reasonSlots         = 64         // REASON_SLOTS
	policyKeyBitsNoPort = 48         // of a policy key, peer to protocol; its port has 16 more
)

// Tables is what the maps hold: what Compile makes of a policy, and what is read
// back from the kernel. Two equal values enforce the same.
type Tables struct {
	NICs       map[uint32]NIC        // by ifindex
	Slots      map[uint32]Owner      // by slot: has a flow table and counters of its own
	PolicySets map[uint32]*PolicySet // by number
	Members    map[MemberKey]uint32  // number of the address's remote set
	RemoteSets map[uint32]RemoteSet  // by number
	Rules      map[uint32]string     // rule id by slot; not in the kernel, it names what the kernel reports
	Refused    []error               // NICs and rules left out because they can't be enforced as they are
	Stale      []error               // sets of groups that do not fit, and what became of them
	Origins    Origins               // not in the kernel, what the next Compile may fall back on
}

// Owner is whose a slot is. It is not in the kernel, it names what the kernel reports.
type Owner struct {
	Instance  string
	Interface string
}

// PolicySet is the rules of one set of groups, shared by all NICs that have
// exactly these groups.
type PolicySet struct {
	Flags    uint32
	Policies map[PolicyKey]uint32  // rule slot
	CIDRs    [2]map[CIDRKey]uint32 // class, by direction
}

// NewTables is what a host without NICs has.
func NewTables() *Tables {
	return &Tables{
		NICs:       map[uint32]NIC{},
		Slots:      map[uint32]Owner{},
		PolicySets: map[uint32]*PolicySet{},
		Members:    map[MemberKey]uint32{},
		RemoteSets: map[uint32]RemoteSet{},
		Rules:      map[uint32]string{},
		Origins:    Origins{},
	}
}

func newPolicySet() *PolicySet {
	return &PolicySet{
		Policies: map[PolicyKey]uint32{},
		CIDRs:    [2]map[CIDRKey]uint32{{}, {}},
	}
}

// Limits is how much the maps hold, in entries.
type Limits struct {
	NICs       int // slots, with slot 0, which is nobody's
	PolicySets int // with set 0, which is nobody's
	RemoteSets int // with set 0, which is empty
	Rules      int // with slot 0, which is no rule
	Members    int
	IDs        int // numbered things of all kinds
	Policies   int // of one policy set
	CIDRs      int // of one policy set and direction
}

// addressOf writes IPv4 as ::ffff:a.b.c.d.
func addressOf(a netip.Addr) Address { return Address{Bytes: a.As16()} }

func (a Address) addr() netip.Addr { return netip.AddrFrom16(a.Bytes).Unmap() }

// ipv4 is the key in the map of IPv4 members, if it belongs there.
func (k MemberKey) ipv4() (short bpfMember4Key, is4 bool) {
	a := k.Address.addr()
	if !a.Is4() {
		return short, false
	}
	return bpfMember4Key{Net: k.Net, Address: inMemory(a.As4())}, true
}

// memberTag is MEMBER_TAG of bpf/abi.h.
const memberTag = 0x9e3779b1

func (k bpfMember4Key) tag() uint32 { return k.Net*memberTag + k.Address }

func (k MemberKey) tag() uint32 {
	tag := k.Net
	for b := k.Address.Bytes[:]; len(b) > 0; b = b[4:] {
		tag = tag*memberTag + binary.NativeEndian.Uint32(b)
	}
	return tag
}

// wide is the key as tables hold it.
func (k bpfMember4Key) wide() MemberKey {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], k.Address)
	return MemberKey{Net: k.Net, Address: addressOf(netip.AddrFrom4(b))}
}

// network32 and network16 give a number the byte order of the network in the
// memory of this machine.
func network32(n uint32) uint32 {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	return inMemory(b)
}

func inMemory(b [4]byte) uint32 { return binary.NativeEndian.Uint32(b[:]) }

func network16(n uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], n)
	return binary.NativeEndian.Uint16(b[:])
}

// owns tells whether the NIC has the address.
func (n *NIC) owns(a netip.Addr) bool {
	if a.Is4() {
		return slices.Contains(n.Addr4[:n.N4], inMemory(a.As4()))
	}
	return slices.Contains(n.Addr6[:n.N6], addressOf(a))
}
