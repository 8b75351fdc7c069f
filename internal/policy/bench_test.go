package policy_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
	"github.com/gabion/gabion/test/frame"
)

// The bench is one NIC with a remote, both with an address of each family. Frames
// are what those two would send each other, where a test doesn't say otherwise.
var (
	nicMAC    = gabion.MAC{2, 0, 0, 0, 0, 1}
	remoteMAC = gabion.MAC{2, 0, 0, 0, 0, 9}

	nic4, nic6       = netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("2001:db8::5")
	remote4, remote6 = netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("2001:db8::9")
	other4, other6   = netip.MustParseAddr("10.0.0.77"), netip.MustParseAddr("2001:db8::77")

	nicLinkLocal    = nicMAC.LinkLocal()
	remoteLinkLocal = remoteMAC.LinkLocal()
	privacyAddress  = netip.MustParseAddr("fe80::1234:5678:9abc:def0")
	allNodes        = netip.MustParseAddr("ff02::1")
)

const tap = "tap0"

// bench runs frames through an evaluator and holds what becomes of them against
// what was wanted.
type bench struct {
	tester
	evaluator *policy.Evaluator
	view      *policy.View
	now       time.Duration
}

// tester is a test, of rapid's too.
type tester interface {
	Helper()
	Errorf(format string, args ...any)
}

// newBench begins late enough for every allowance to be whole.
func newBench(t tester, rules ...gabion.Rule) *bench {
	b := &bench{tester: t, now: time.Hour}
	b.configure(policy.Config{}, rules...)
	return b
}

func (b *bench) configure(c policy.Config, rules ...gabion.Rule) {
	b.evaluator = policy.NewEvaluator(c)
	b.setRules(rules...)
}

func (b *bench) setRules(rules ...gabion.Rule) {
	b.view = viewWith(rules...)
	b.evaluator.SetView(b.view)
}

// viewWith is a view of one instance in group "web", which holds the rules, and
// of group "peers", which holds the remote and a source.
func viewWith(rules ...gabion.Rule) *policy.View {
	v := policy.NewView()
	v.Groups["web"] = &policy.Group{ID: "web", Organization: "blue", Name: "web", Rules: complete(rules)}
	v.Groups["empty"] = &policy.Group{ID: "empty", Organization: "blue", Name: "empty"}
	v.Groups["peers"] = &policy.Group{
		ID: "peers", Organization: "blue", Name: "peers",
		Sources: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")},
	}
	v.Members["remote"] = &policy.Member{
		Instance: "remote", Organization: "blue", Addresses: []netip.Addr{remote4, remote6}, Groups: []string{"peers"},
	}
	v.Instances["one"] = &gabion.Instance{
		ID: "one", Organization: "blue", Groups: []string{"web"},
		NICs: []gabion.NIC{{Interface: tap, MAC: nicMAC, Addresses: []netip.Addr{nic4, nic6}}},
	}
	return v
}

// complete gives rules an id and, where they have no peer, everyone of IPv4.
func complete(rules []gabion.Rule) []gabion.Rule {
	for k := range rules {
		r := &rules[k]
		r.Group = "web"
		if r.ID == "" {
			r.ID = fmt.Sprintf("rule-%d", k)
		}
		if r.Peer == (gabion.Peer{}) {
			r.Peer.Network = netip.MustParsePrefix("0.0.0.0/0")
		}
	}
	return rules
}

var (
	everyone6 = gabion.Peer{Network: netip.MustParsePrefix("::/0")}
	peers     = gabion.Peer{Group: "peers"}

	ssh       = gabion.Rule{ID: "ssh", Protocol: gabion.TCP, Ports: gabion.PortRange{Start: 22, End: 22}}
	ssh6      = gabion.Rule{ID: "ssh6", Protocol: gabion.TCP, Ports: gabion.PortRange{Start: 22, End: 22}, Peer: everyone6}
	dns       = gabion.Rule{ID: "dns", Protocol: gabion.UDP, Ports: gabion.PortRange{Start: 53, End: 53}}
	dns6      = gabion.Rule{ID: "dns6", Protocol: gabion.UDP, Ports: gabion.PortRange{Start: 53, End: 53}, Peer: everyone6}
	ping      = gabion.Rule{ID: "ping", Protocol: gabion.ICMP, ICMP: gabion.ICMPMatch{Type: 8, Code: 0}}
	ping6     = gabion.Rule{ID: "ping6", Protocol: gabion.ICMPv6, ICMP: gabion.ICMPMatch{Type: 128, Code: 0}, Peer: everyone6}
	pong      = gabion.Rule{ID: "pong", Protocol: gabion.ICMP, ICMP: gabion.ICMPMatch{Type: 0, Code: 0}}
	gre       = gabion.Rule{ID: "gre", Protocol: gabion.GRE}
	webOut    = gabion.Rule{ID: "web-out", Direction: gabion.Egress, Protocol: gabion.TCP, Ports: gabion.PortRange{Start: 443, End: 443}}
	unreached = gabion.Rule{ID: "unreachable", Protocol: gabion.ICMP, ICMP: gabion.ICMPMatch{Type: 3, Code: -1}}
)

// out sends a frame from the instance.
func (b *bench) out(what string, data []byte, want gabion.Reason) {
	b.Helper()
	b.expect("out", what, b.evaluator.FromInstance(uint64(b.now), tap, policy.Frame{Data: data}), want)
}

// in sends a frame to the instance.
func (b *bench) in(what string, data []byte, want gabion.Reason) {
	b.Helper()
	b.expect("in", what, b.evaluator.ToInstance(uint64(b.now), tap, policy.Frame{Data: data}), want)
}

func (b *bench) expect(way, what string, got policy.Result, want gabion.Reason) {
	b.Helper()
	hit[want] = true
	if got.Reason != want {
		b.Errorf("%s: %s: %s, want %s", way, what, got.Reason, want)
	}
}

func (b *bench) wait(d time.Duration) { b.now += d }

// hit is which reasons the tests saw.
var hit = map[gabion.Reason]bool{}

// out4 is an IPv4 packet from the instance to the remote, and so on.
func out4(p frame.IPv4) []byte {
	p.Source, p.Destination = orElse(p.Source, nic4), orElse(p.Destination, remote4)
	return frame.Ethernet{Destination: remoteMAC, Source: nicMAC, Kind: frame.KindIPv4, Payload: p.Bytes()}.Bytes()
}

func in4(p frame.IPv4) []byte {
	p.Source, p.Destination = orElse(p.Source, remote4), orElse(p.Destination, nic4)
	return frame.Ethernet{Destination: nicMAC, Source: remoteMAC, Kind: frame.KindIPv4, Payload: p.Bytes()}.Bytes()
}

func out6(p frame.IPv6) []byte {
	p.Source, p.Destination = orElse(p.Source, nic6), orElse(p.Destination, remote6)
	return frame.Ethernet{Destination: remoteMAC, Source: nicMAC, Kind: frame.KindIPv6, Payload: p.Bytes()}.Bytes()
}

func in6(p frame.IPv6) []byte {
	p.Source, p.Destination = orElse(p.Source, remote6), orElse(p.Destination, nic6)
	return frame.Ethernet{Destination: nicMAC, Source: remoteMAC, Kind: frame.KindIPv6, Payload: p.Bytes()}.Bytes()
}

func orElse(a, instead netip.Addr) netip.Addr {
	if a.IsValid() {
		return a
	}
	return instead
}

// tcp, udp, icmp and icmp6 put an upper layer into any of the above.
func tcp(wrap func(frame.IPv4) []byte, t frame.TCP) []byte {
	return wrap(frame.IPv4{Protocol: 6, Payload: t.Bytes()})
}

func udp(wrap func(frame.IPv4) []byte, source, destination uint16) []byte {
	return wrap(frame.IPv4{Protocol: 17, Payload: frame.UDP{Source: source, Destination: destination, Payload: []byte("payload!")}.Bytes()})
}

func icmp(wrap func(frame.IPv4) []byte, m frame.ICMP) []byte {
	return wrap(frame.IPv4{Protocol: 1, Payload: m.Bytes()})
}

func tcp6(wrap func(frame.IPv6) []byte, t frame.TCP) []byte {
	return wrap(frame.IPv6{Protocol: 6, Payload: t.Bytes()})
}

func udp6(wrap func(frame.IPv6) []byte, source, destination uint16) []byte {
	return wrap(frame.IPv6{Protocol: 17, Payload: frame.UDP{Source: source, Destination: destination, Payload: []byte("payload!")}.Bytes()})
}

func icmp6(wrap func(frame.IPv6) []byte, m frame.ICMP) []byte {
	return wrap(frame.IPv6{Protocol: 58, Payload: m.Bytes()})
}

// patch changes bytes of a frame at an offset behind the Ethernet header.
func patch(data []byte, offset int, bytes ...byte) []byte {
	data = append([]byte{}, data...)
	copy(data[14+offset:], bytes)
	return data
}

// addressed gives a frame another Ethernet destination.
func addressed(mac gabion.MAC, data []byte) []byte {
	return append(append([]byte{}, mac[:]...), data[6:]...)
}

// sentBy gives a frame another Ethernet source.
func sentBy(mac gabion.MAC, data []byte) []byte {
	data = append([]byte{}, data...)
	copy(data[6:], mac[:])
	return data
}

// cut leaves a frame only so many bytes behind the Ethernet header.
func cut(data []byte, size int) []byte { return data[:14+size] }

var syn = frame.TCP{Source: 40000, Destination: 22, Sequence: 100, Flags: frame.SYN}
