package datapath

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/privilege"
)

// The one NIC of most tests, and what its policy is made of.
const (
	loopback  = 1 // ifindex: program runs need an interface that exists
	nicSlot   = 7
	guestSet  = 3
	guestNet  = 5
	flowLimit = 64

	classPeer = 0x80000000 // PEER_CLASS
	peerGroup = 11         // peer's addresses are its members
	classAny  = 21         // stands for 198.51.100.0/24 and 2001:db8:a::/48
)

// Rules of the policy, by slot.
const (
	rulePeerSSH = 100 + iota
	ruleNetWeb
	rulePing
	rulePeerUDP
	ruleGRE
	ruleOut
)

// programs is the pair of programs with maps of their own and a clock that stands still.
type programs struct {
	testing.TB
	objects bpfObjects
	now     time.Duration
	skb     *skb      // context of the next frames
	table   *ebpf.Map // the guest's flows
	openers *ebpf.Map // those of its flows that are not settled
	pieces  *ebpf.Map // what is known of its datagrams in fragments
	rules   *ruleset  // the guest's
}

// newPrograms loads the programs, without a NIC.
func newPrograms(t testing.TB) *programs {
	t.Helper()
	privilege.Require(t)
	w := &programs{TB: t}
	spec, err := loadBpf()
	if err != nil {
		t.Fatalf("load spec: %v", err)
	}
	if err := spec.Variables["clock_is_set"].Set(true); err != nil {
		t.Fatalf("set clock_is_set: %v", err)
	}
	w.load(spec)
	w.sleep(time.Hour)
	return w
}

func (w *programs) load(spec *ebpf.CollectionSpec) {
	w.Helper()
	if err := spec.LoadAndAssign(&w.objects, nil); err != nil {
		var verifier *ebpf.VerifierError
		if errors.As(err, &verifier) {
			w.Fatalf("load programs: %+v", verifier)
		}
		w.Fatalf("load programs: %v", err)
	}
	w.Cleanup(func() { w.objects.Close() })
}

// sleep moves the programs' clock.
func (w *programs) sleep(d time.Duration) {
	w.Helper()
	w.now += d
	w.must(w.objects.SetClock.Set(uint64(w.now)))
}

func (w *programs) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// put writes one element.
func (w *programs) put(m *ebpf.Map, key, value any) {
	w.Helper()
	if err := m.Put(key, value); err != nil {
		w.Fatalf("put into %s: %v", m, err)
	}
}

// inner makes an empty map and puts it into a map of maps. Zero entries means as many as the programs say.
func (w *programs) inner(outer *ebpf.Map, name string, index, entries uint32) *ebpf.Map {
	w.Helper()
	spec, err := loadBpf()
	w.must(err)
	inner := spec.Maps[name].InnerMap.Copy()
	if entries != 0 {
		inner.MaxEntries = entries
	}
	m, err := ebpf.NewMap(inner)
	w.must(err)
	w.Cleanup(func() { m.Close() })
	w.put(outer, index, m)
	return m
}

// ruleset is the maps of one policy set.
type ruleset struct {
	*programs
	set   uint32
	rules *ebpf.Map
	cidrs [2]*ebpf.Map
}

func (w *programs) ruleset(set uint32) *ruleset {
	w.Helper()
	r := &ruleset{programs: w, set: set, rules: w.inner(w.objects.Policies, bpfMapPolicies, set, 0)}
	for d := range r.cidrs {
		r.cidrs[d] = w.inner(w.objects.Cidrs, bpfMapCidrs, set*2+uint32(d), 0)
	}
	w.put(w.objects.PolicySets, set, bpfPolicySet{})
	return r
}

// closeEgress is what the first egress rule does.
func (r *ruleset) closeEgress() {
	r.Helper()
	r.put(r.objects.PolicySets, r.set, bpfPolicySet{Flags: egressClosedFlag})
}

const egressClosedFlag = 1

// allow adds a rule for one port (for ICMP, type<<8|code) or, with bits below 16, for all that begin like it.
func (r *ruleset) allow(rule uint32, d gabion.Direction, peer uint32, protocol gabion.Protocol, port uint16, bits uint32) {
	r.Helper()
	r.put(r.rules, ruleKey(d, peer, protocol, port, bits), rule)
}

func (r *ruleset) revoke(d gabion.Direction, peer uint32, protocol gabion.Protocol, port uint16, bits uint32) {
	r.Helper()
	r.must(r.rules.Delete(ruleKey(d, peer, protocol, port, bits)))
	r.bump()
}

// bump is what follows a removal.
func (w *programs) bump() {
	w.Helper()
	var epoch uint32
	w.must(w.objects.Epochs.Lookup(uint32(nicSlot), &epoch))
	w.put(w.objects.Epochs, uint32(nicSlot), epoch+1)
}

func ruleKey(d gabion.Direction, peer uint32, protocol gabion.Protocol, port uint16, bits uint32) bpfPolicyKey {
	return bpfPolicyKey{
		Prefixlen: 48 + bits, Peer: swap32(peer), Direction: uint8(d), Protocol: uint8(protocol), Port: swap16(port),
	}
}

func (r *ruleset) network(d gabion.Direction, prefix string, class uint32) {
	r.Helper()
	n := netip.MustParsePrefix(prefix)
	bits := n.Bits()
	if n.Addr().Is4() {
		bits += 96
	}
	r.put(r.cidrs[d], bpfCidrKey{Prefixlen: uint32(bits), Address: bpfAddress{Bytes: n.Addr().As16()}}, class)
}

// member makes an address a member of groups.
func (w *programs) member(set uint32, a netip.Addr, groups ...uint32) {
	w.Helper()
	var s bpfRemoteSet
	copy(s.Groups[:], groups)
	w.put(w.objects.RemoteSets, set, s)
	w.enroll(guestNet, a, set)
}

// enroll makes an address of an organization a member of a remote set's groups.
func (w *programs) enroll(organization uint32, a netip.Addr, set uint32) {
	w.Helper()
	if a.Is4() {
		key := bpfMember4Key{Net: organization, Address: addr4(a)}
		w.put(w.objects.Members4, key, bpfMember{Set: set, Tag: key.tag()})
	} else {
		key := bpfMember6Key{Net: organization, Address: addressBytes(a)}
		w.put(w.objects.Members6, key, bpfMember{Set: set, Tag: key.tag()})
	}
}

// attach gives an interface to a machine.
func (w *programs) attach(ifindex, slot, set uint32, m machine, flows uint32) *ebpf.Map {
	w.Helper()
	table := w.inner(w.objects.Flows, bpfMapFlows, slot, flows)
	w.openers = w.inner(w.objects.HalfOpen, bpfMapHalfOpen, slot, 0)
	w.pieces = w.inner(w.objects.Fragments, bpfMapFragments, slot, 0)
	w.put(w.objects.Nics, ifindex, nicOfMachine(ifindex, slot, set, m))
	return table
}

func nicOfMachine(ifindex, slot, set uint32, m machine) bpfNic {
	return bpfNic{
		Ifindex: ifindex, Slot: slot, PolicySet: set, Net: guestNet, Mac: m.mac, N4: 1, N6: 1,
		Addr4: [8]uint32{addr4(m.ip4)}, Addr6: [8]bpfAddress{{Bytes: m.ip6.As16()}},
	}
}

// newOrdinary loads the programs with the guest's NIC and an ordinary policy.
func newOrdinary(t testing.TB) *programs {
	t.Helper()
	w := newPrograms(t)
	w.table = w.attach(loopback, nicSlot, guestSet, guest, flowLimit)
	w.rules = w.ruleset(guestSet)
	w.reset()
	return w
}

// reset forgets what frames left behind, and restores the ordinary policy: ssh and
// UDP 53 from the peer's group, web and ping from a network, GRE from the peer's
// group. Egress is open.
func (w *programs) reset() {
	w.Helper()
	for _, m := range []*ebpf.Map{
		w.table, w.pieces, w.objects.Told, w.objects.Named,
		w.objects.Members4, w.objects.Members6, w.rules.rules, w.rules.cidrs[0], w.rules.cidrs[1],
	} {
		emptyMap(w, m)
	}
	w.must(forgetOpeners(w.openers))
	w.reattach(nicSlot)
	w.put(w.objects.NicStates, uint32(nicSlot), bpfNicState{})
	w.put(w.objects.Config, uint32(0), bpfConfig{})
	w.put(w.objects.PolicySets, uint32(guestSet), bpfPolicySet{})
	w.skb = nil
	w.sleep(24 * time.Hour)

	w.member(1, peer.ip4, peerGroup)
	w.member(1, peer.ip6, peerGroup)
	r := w.rules
	r.network(gabion.Ingress, "198.51.100.0/24", classAny)
	r.network(gabion.Ingress, "2001:db8:a::/48", classAny)
	r.allow(rulePeerSSH, gabion.Ingress, peerGroup, gabion.TCP, 22, 16)
	r.allow(rulePeerUDP, gabion.Ingress, peerGroup, gabion.UDP, 53, 16)
	r.allow(ruleNetWeb, gabion.Ingress, classPeer|classAny, gabion.TCP, 80, 16)
	r.allow(rulePing, gabion.Ingress, classPeer|classAny, gabion.ICMP, 8<<8, 8)
	r.allow(rulePing, gabion.Ingress, classPeer|classAny, gabion.ICMPv6, 128<<8, 8)
	r.allow(ruleGRE, gabion.Ingress, peerGroup, gabion.GRE, 0, 0)
}

// emptyMap deletes every element of a map.
func emptyMap(t testing.TB, m *ebpf.Map) {
	t.Helper()
	key := make([]byte, m.KeySize())
	for {
		if err := m.NextKey(nil, &key); errors.Is(err, ebpf.ErrKeyNotExist) {
			return
		} else if err != nil {
			t.Fatalf("read first key of %s: %v", m, err)
		}
		if err := m.Delete(key); err != nil {
			t.Fatalf("delete from %s: %v", m, err)
		}
	}
}

// skb is what program runs take of struct __sk_buff.
type skb struct {
	_       [40]byte
	Ifindex uint32
	_       [132]byte
	GSOSize uint32
	_       [12]byte
}

// verdict is what became of a frame.
type verdict struct {
	reason gabion.Reason
	rule   uint32
}

// run sends a frame through a program. What the last frame left in the scratch memory is made unlikely before.
func (w *programs) run(d gabion.Direction, frame []byte) verdict {
	w.Helper()
	program := w.objects.ToInstance
	if d == gabion.Egress {
		program = w.objects.FromInstance
	}
	w.put(w.objects.Packets, uint32(0), staleScratch())
	options := &ebpf.RunOptions{Data: frame}
	if w.skb != nil {
		options.Context = w.skb
	}
	action, err := program.Run(options)
	w.must(err)
	v := w.lastVerdict()
	if want := tcxAction(v.reason); int32(action) != want {
		w.Fatalf("program returned %d for %s, want %d", int32(action), v.reason, want)
	}
	return v
}

func tcxAction(r gabion.Reason) int32 {
	if r.Verdict() == gabion.Pass {
		return -1 // TCX_NEXT
	}
	return 2 // TCX_DROP
}

func (w *programs) lastVerdict() verdict {
	w.Helper()
	var scratch []bpfPacket
	w.must(w.objects.Packets.Lookup(uint32(0), &scratch))
	for _, p := range scratch {
		if p.Reason != 0 {
			return verdict{reason: gabion.Reason(p.Reason), rule: p.Rule}
		}
	}
	w.Fatal("no program left a reason")
	return verdict{}
}

// staleScratch is scratch memory that no frame left, but could have.
func staleScratch() []bpfPacket {
	var p bpfPacket
	p.Nic.Slot, p.Nic.PolicySet, p.Rule, p.Count, p.Left = 9, 9, 9, 9, true
	p.Ip.Place, p.Ip.More, p.Ip.Version, p.Ip.Protocol, p.Ip.Sport, p.Ip.Dport = 3, true, 6, 17, 9, 9
	p.Ip.IcmpType, p.Ip.IcmpCode, p.Ip.HopLimit, p.TcpFlags, p.Payload = 9, 9, 9, 0xff, 999
	p.Quoted = p.Ip
	p.First.Reason, p.First.Next = bpfReason(gabion.PassICMPError), 8
	p.NextOption = 40
	p.Key.Protocol = 9
	p.Datagram.Id, p.Datagram.Protocol = 9, 9
	all := make([]bpfPacket, ebpf.MustPossibleCPU())
	for i := range all {
		all[i] = p
	}
	return all
}

// Wire order, as it is read from memory here.
func swap16(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

func swap32(v uint32) uint32 {
	return binary.NativeEndian.Uint32(binary.BigEndian.AppendUint32(nil, v))
}

func addr4(a netip.Addr) uint32 {
	b := a.As4()
	return binary.NativeEndian.Uint32(b[:])
}
