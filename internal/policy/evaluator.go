package policy

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/gabion/gabion"
)

// Evaluator decides frames as docs/verdicts.md says, step by step and in its
// words. It is what the eBPF programs are held against, so it is written to be
// read beside that page, not to be fast.
//
// Times are nanoseconds of a monotonic clock that the caller reads; they never
// go back. An Evaluator belongs to one goroutine.
//
// On the page, only a change that takes something away moves a NIC's epoch on.
// Here flows are judged again after every SetView. Nobody can tell: asking the
// rules again after a change that only adds admits again what they admitted. A
// flow keeps the rule that admitted it while that rule still does, as it would if
// nobody had asked.
type Evaluator struct {
	config Config
	views  uint32          // how many there were
	nics   map[string]*nic // by interface
}

// Config is what the operator says of a host, beside the policy.
type Config struct {
	DHCPServers []netip.Addr // named servers, both families; none means any
	Routers     []netip.Addr // named routers; none means any
	MaxFlows    int          // settled flows of one NIC; 0 means DefaultMaxFlows
}

// DefaultMaxFlows is the size of a NIC's table of settled flows.
const DefaultMaxFlows = 65536

// Frame is an Ethernet frame with what its metadata says of it.
type Frame struct {
	Data         []byte // from the Ethernet header on
	VLAN         bool   // a tag beside it
	Checksum     int    // where in Data the kernel will write a checksum; 0 means nowhere
	Several      bool   // it stands for several frames, which the kernel will make of it
	Encapsulated bool   // the kernel knows of a packet inside
}

// Result is what becomes of a frame, and why.
type Result struct {
	Reason gabion.Reason
	Rule   string // id of the rule that admits it; empty if none was asked for
}

// Verdict is what the frame gets.
func (r Result) Verdict() gabion.Verdict { return r.Reason.Verdict() }

// nic is a NIC with the policy of its instance, and with what outlives that.
type nic struct {
	gabion.NIC
	instance string
	rules    *ruleset
	*state
}

// state is what a NIC's frames leave behind.
type state struct {
	epoch     uint32
	learned   []learned // in the order in which they were
	rarp      rate
	flows     map[flowKey]*flow
	settled   int // how many of them are in the NIC's table
	fragments [2]map[datagramKey]*datagram
}

// NewEvaluator is an evaluator that knows no NIC.
func NewEvaluator(c Config) *Evaluator {
	if c.MaxFlows == 0 {
		c.MaxFlows = DefaultMaxFlows
	}
	return &Evaluator{config: c}
}

// SetView makes v what the evaluator judges by. NICs that stay, by instance and
// interface, keep their state. The view must not change afterwards.
//
// The epoch of every NIC moves on, but for those of the interfaces in stays: whether
// a change may take something from a NIC is for who applies it to say.
func (e *Evaluator) SetView(v *View, stays ...string) {
	e.views++
	known := e.nics
	e.nics = map[string]*nic{}
	membership := v.membership()
	for _, id := range slices.Sorted(maps.Keys(v.Instances)) {
		i := v.Instances[id]
		rules := v.rulesOf(i, membership)
		for k := range i.NICs {
			if n := &i.NICs[k]; rules != nil && e.nics[n.Interface] == nil && isFit(n) {
				e.nics[n.Interface] = &nic{NIC: *n, instance: id, rules: rules, state: stateOf(known[n.Interface], id)}
			}
		}
	}
	for iface, n := range e.nics {
		if !slices.Contains(stays, iface) {
			n.epoch++
		}
	}
}

// isFit tells whether the NIC is one that can be filtered.
func isFit(n *gabion.NIC) bool {
	var v4, v6 int
	for _, a := range n.Addresses {
		switch {
		case a.Is4():
			v4++
		case a.Is6() && !a.Is4In6():
			v6++
		default:
			return false
		}
	}
	return max(v4, v6) <= gabion.MaxAddressesPerNIC
}

// stateOf is the state of the interface's NIC before, if it was this instance's.
func stateOf(prev *nic, instance string) *state {
	if prev != nil && prev.instance == instance {
		return prev.state
	}
	return newState()
}

func newState() *state {
	return &state{
		rarp:      rate{burst: 10, interval: second},
		flows:     map[flowKey]*flow{},
		fragments: [2]map[datagramKey]*datagram{{}, {}},
	}
}

// Collect forgets what expired a while ago.
func (e *Evaluator) Collect(now uint64) {
	for _, n := range e.nics {
		for key, f := range n.flows {
			if ticksOf(now)-f.lastSeen > ticksIn(f.timeout(key.protocol))+ticksIn(collectAfter) {
				n.forget(key)
			}
		}
	}
}

// FromInstance decides a frame that the instance sends by the interface.
func (e *Evaluator) FromInstance(now uint64, iface string, f Frame) Result {
	return e.decide(now, iface, f, gabion.Egress)
}

// ToInstance decides a frame that is on its way to the instance by the interface.
func (e *Evaluator) ToInstance(now uint64, iface string, f Frame) Result {
	return e.decide(now, iface, f, gabion.Ingress)
}

// walk is one frame on its way down the page.
type walk struct {
	*nic
	config    *Config
	view      uint32 // which one it is
	now       uint64
	direction gabion.Direction // the frame's
	frame     Frame
	ethernet  ethernet
	packet    packet
}

// decide is "Both directions, first".
func (e *Evaluator) decide(now uint64, iface string, f Frame, d gabion.Direction) Result {
	n := e.nics[iface]
	if n == nil {
		return Result{Reason: gabion.DropNoPolicy}
	}
	w := &walk{nic: n, config: &e.config, view: e.views, now: now, direction: d, frame: f}
	if reason := w.readEthernet(); reason != undecided {
		return Result{Reason: reason}
	}
	if d == gabion.Egress {
		return w.fromInstance()
	}
	return w.toInstance()
}

// undecided is no reason: the walk goes on.
const undecided = gabion.ReasonNone

func (w *walk) readEthernet() gabion.Reason {
	if w.frame.VLAN {
		return gabion.DropVLAN
	}
	var ok bool
	if w.ethernet, ok = parseEthernet(w.frame.Data); !ok {
		return gabion.DropMalformed
	}
	switch w.ethernet.kind {
	case kindVLAN, kindQinQ, kindOldQinQ:
		return gabion.DropVLAN
	case kindARP, kindIPv4, kindIPv6:
		return undecided
	case kindRARP:
		if w.direction == gabion.Egress {
			return undecided
		}
	}
	return gabion.DropEtherType
}

// fromInstance is "From the instance".
func (w *walk) fromInstance() Result {
	if reason := w.checkMetadata(); reason != undecided {
		return Result{Reason: reason}
	}
	if w.ethernet.source != w.MAC {
		return Result{Reason: gabion.DropMACSpoof}
	}
	switch w.ethernet.kind {
	case kindRARP:
		return Result{Reason: w.rarpFromInstance()}
	case kindARP:
		return Result{Reason: w.arpFromInstance()}
	}
	if reason := w.parse(); reason != undecided {
		return Result{Reason: reason}
	}
	if reason := w.checkIPMetadata(); reason != undecided {
		return Result{Reason: reason}
	}
	if reason := w.servicesFromInstance(); reason != undecided {
		return Result{Reason: reason}
	}
	switch p := &w.packet; {
	case !w.isOwn(p.source):
		return Result{Reason: gabion.DropIPSpoof}
	case isGroupMAC(w.ethernet.destination), p.destination.IsMulticast(), p.destination == broadcastIPv4:
		return Result{Reason: gabion.DropMulticast}
	}
	return w.fragmentsThenFlows()
}

// servicesFromInstance is what an instance may or must not do under any rules.
func (w *walk) servicesFromInstance() gabion.Reason {
	if w.packet.isLater() {
		return undecided
	}
	for _, step := range []func() gabion.Reason{
		w.dhcpClientFromInstance, w.dhcpServerFromInstance, w.routerFromInstance, w.ndFromInstance, w.dhcpv6ClientFromInstance,
	} {
		if reason := step(); reason != undecided {
			return reason
		}
	}
	return undecided
}

// routerFromInstance keeps an instance from telling others where to send.
func (w *walk) routerFromInstance() gabion.Reason {
	switch p := &w.packet; {
	case p.isICMPv4() && p.icmpType() == icmpRedirect,
		p.isICMPv6() && isOfRouter(p.icmpType()):
		return gabion.DropRouter
	}
	return undecided
}

func isOfRouter(icmpv6Type uint8) bool {
	switch icmpv6Type {
	case icmpv6RouterAdvertisement, icmpv6Redirect, icmpv6MLDQuery:
		return true
	}
	return false
}

// toInstance is "To the instance".
func (w *walk) toInstance() Result {
	if w.ethernet.kind == kindARP {
		return Result{Reason: w.arpToInstance()}
	}
	if !w.isForMAC() && !isGroupMAC(w.ethernet.destination) {
		return Result{Reason: gabion.DropNotForNIC}
	}
	if reason := w.parse(); reason != undecided {
		return Result{Reason: reason}
	}
	if reason := w.servicesToInstance(); reason != undecided {
		return Result{Reason: reason}
	}
	switch {
	case !w.isForMAC():
		return Result{Reason: gabion.DropNotForNIC}
	case !w.isOwn(w.packet.destination):
		return Result{Reason: gabion.DropNotOwned}
	}
	return w.fragmentsThenFlows()
}

// servicesToInstance is what reaches an instance under any rules.
func (w *walk) servicesToInstance() gabion.Reason {
	if w.packet.isLater() {
		return undecided
	}
	for _, step := range []func() gabion.Reason{w.dhcpServerToInstance, w.ndToInstance, w.mldToInstance, w.dhcpv6ServerToInstance} {
		if reason := step(); reason != undecided {
			return reason
		}
	}
	return undecided
}

func (w *walk) isForMAC() bool { return w.ethernet.destination == w.MAC }

// owns tells whether the address is one of the NIC's.
func (n *nic) owns(a netip.Addr) bool { return slices.Contains(n.Addresses, a) }

// isOwnLinkLocal tells whether the address is the EUI-64 one or a learned one.
func (w *walk) isOwnLinkLocal(a netip.Addr) bool {
	return a == w.MAC.LinkLocal() || w.hasLearned(a, learnedAfter)
}

func (w *walk) isOwn(a netip.Addr) bool { return w.owns(a) || w.isOwnLinkLocal(a) }

// isNamed tells whether the operator named the address, or named none.
func isNamed(named []netip.Addr, a netip.Addr) bool {
	return len(named) == 0 || slices.Contains(named, a)
}
