package policy_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/test/frame"
)

// quote is the packet of a frame, cut behind its first 8 upper-layer bytes.
func quote(data []byte, header int) []byte { return data[14 : 14+header+8] }

// about is an ICMP error that quotes a packet.
func about(wrap func(frame.IPv4) []byte, kind uint8, quoted []byte) []byte {
	return icmp(wrap, frame.ICMP{Type: kind, Body: quoted})
}

func about6(wrap func(frame.IPv6) []byte, kind uint8, quoted []byte) []byte {
	return icmp6(wrap, frame.ICMP{Type: kind, Body: quoted})
}

func TestICMPErrorsToInstance(t *testing.T) {
	sent := udp(out4, 4000, 53)
	asked := func(rules ...gabion.Rule) *bench {
		b := newBench(t, rules...)
		b.out("query", sent, gabion.PassEgressOpen)
		return b
	}
	q := quote(sent, 20)
	for _, kind := range []uint8{frame.Unreachable, 4, frame.TimeExceeded, 12} {
		asked().in("error", about(in4, kind, q), gabion.PassICMPError)
	}
	router := in4(frame.IPv4{Source: other4, Protocol: 1, Payload: frame.ICMP{Type: frame.TimeExceeded, Body: q}.Bytes()})
	asked().in("error of a router", router, gabion.PassICMPError)
	asked().in("no error", about(in4, 13, q), gabion.DropDeniedIngress)
	asked().in("with all of the packet", about(in4, frame.Unreachable, sent[14:]), gabion.PassICMPError)
	asked().in("with 7 bytes of it", about(in4, frame.Unreachable, q[:27]), gabion.DropDeniedIngress)
	asked().in("quotes version 6", about(in4, frame.Unreachable, append([]byte{0x65}, q[1:]...)), gabion.DropDeniedIngress)
	asked().in("quotes IHL 4", about(in4, frame.Unreachable, append([]byte{0x44}, q[1:]...)), gabion.DropDeniedIngress)
	asked().in("quotes a later fragment", about(in4, frame.Unreachable, quote(patch(sent, 6, 0, 1), 20)), gabion.DropDeniedIngress)
	asked().in("quotes a first fragment", about(in4, frame.Unreachable, quote(patch(sent, 6, 0x20), 20)), gabion.PassICMPError)
	asked().in("quotes a packet of another port", about(in4, frame.Unreachable, quote(udp(out4, 4001, 53), 20)), gabion.DropDeniedIngress)
	asked().in("quotes a packet of another sender", about(in4, frame.Unreachable, quote(out4(frame.IPv4{Source: other4, Protocol: 17, Payload: query(1)}), 20)), gabion.DropDeniedIngress)
	asked().in("quotes the answer", about(in4, frame.Unreachable, quote(udp(in4, 53, 4000), 20)), gabion.DropDeniedIngress)
	asked(unreached).in("of no flow, but a rule admits it", about(in4, frame.Unreachable, q[:27]), gabion.PassRule)

	b := asked()
	b.setRules(webOut)
	b.in("of a revoked flow", about(in4, frame.Unreachable, q), gabion.DropDeniedIngress)
	b.setRules()
	b.in("of a flow that is back", about(in4, frame.Unreachable, q), gabion.PassICMPError)
	b.wait(29 * time.Second)
	b.in("within", about(in4, frame.Unreachable, q), gabion.PassICMPError)
	b.wait(2 * time.Second)
	b.in("refreshes nothing", about(in4, frame.Unreachable, q), gabion.DropDeniedIngress)
}

func TestICMPErrorsFromInstance(t *testing.T) {
	got := udp(in4, 4000, 53)
	b := newBench(t, dns, gabion.Rule{Direction: gabion.Egress, Protocol: gabion.TCP})
	b.in("query", got, gabion.PassRule)
	b.out("port unreachable", about(out4, frame.Unreachable, quote(got, 20)), gabion.PassICMPError)
	b.out("about another's packet", about(out4, frame.Unreachable, quote(udp(in4, 4001, 53), 20)), gabion.DropDeniedEgress)
	elsewhere := out4(frame.IPv4{Destination: other4, Protocol: 1, Payload: frame.ICMP{Type: frame.Unreachable, Body: quote(got, 20)}.Bytes()})
	b.out("to somebody else", elsewhere, gabion.DropDeniedEgress)
}

func TestICMPErrorsOfEcho(t *testing.T) {
	request, reply := frame.ICMP{Type: frame.Echo, Identifier: 7}, frame.ICMP{Type: frame.EchoReply, Identifier: 7}
	b := newBench(t, ping)
	b.out("request", icmp(out4, request), gabion.PassEgressOpen)
	b.in("error about it", about(in4, frame.Unreachable, quote(icmp(out4, request), 20)), gabion.PassICMPError)
	b.in("error about a reply", about(in4, frame.Unreachable, quote(icmp(out4, reply), 20)), gabion.DropDeniedIngress)
	b.in("request", icmp(in4, request), gabion.PassRule)
	b.in("error about a reply", about(in4, frame.Unreachable, quote(icmp(out4, reply), 20)), gabion.PassICMPError)
	b.in("error about an error", about(in4, frame.Unreachable, quote(icmp(out4, frame.ICMP{Type: frame.Unreachable}), 20)), gabion.DropDeniedIngress)
}

func TestICMPErrorsOverIPv6(t *testing.T) {
	sent := udp6(out6, 4000, 53)
	q := quote(sent, 40)
	b := newBench(t)
	b.out("query", sent, gabion.PassEgressOpen)
	for _, kind := range []uint8{frame.Unreachable6, frame.TooBig6, 3, 4} {
		b.in("error", about6(in6, kind, q), gabion.PassICMPError)
	}
	b.in("no error", about6(in6, 5, q), gabion.DropDeniedIngress)
	b.in("with 7 bytes of it", about6(in6, frame.TooBig6, q[:47]), gabion.DropDeniedIngress)
	quoted := func(e ...frame.Extension) []byte {
		return about6(in6, frame.TooBig6, out6(frame.IPv6{Extensions: e, Protocol: 17, Payload: query(1)})[14:])
	}
	query53 := out6(frame.IPv6{Protocol: 17, Payload: query(1)})
	b.out("its flow", query53, gabion.PassFlow)
	b.in("quotes an extension header", quoted(frame.Options(frame.Destination, 0)), gabion.PassICMPError)
	b.in("quotes a first fragment", quoted(frame.Piece(1, 0, true)), gabion.PassICMPError)
	b.in("quotes a later fragment", quoted(frame.Piece(1, 8, true)), gabion.DropDeniedIngress)
	b.in("quotes nine headers", quoted(repeat(frame.Options(frame.Destination, 0), 9)...), gabion.DropDeniedIngress)
	b.in("quotes a routing header of type 0", quoted(frame.Route(0)), gabion.DropDeniedIngress)
}

func TestFragmentedICMPError(t *testing.T) {
	sent := udp(out4, 4000, 53)
	head := frame.ICMP{Type: frame.Unreachable, Body: quote(sent, 20)}.Bytes() // 36 bytes
	first := piece(1, 9, 0, true, append(head, 0, 0, 0, 0))
	last := piece(1, 9, 40, false, make([]byte, 8))

	b := newBench(t)
	b.out("query", sent, gabion.PassEgressOpen)
	b.in("first", first, gabion.PassICMPError)
	b.wait(29 * time.Second)
	b.evaluator.SetView(viewWith(webOut), tap)
	b.in("what follows is not asked again", last, gabion.PassICMPError)

	b = newBench(t)
	b.out("query", sent, gabion.PassEgressOpen)
	b.in("first", first, gabion.PassICMPError)
	b.setRules()
	b.in("what follows in another epoch", last, gabion.DropFragmentOrphan)
	b.in("and again", last, gabion.DropFragmentOrphan)
	b.in("first in that epoch", first, gabion.PassICMPError)
	b.in("what follows in it", last, gabion.PassICMPError)

	b = newBench(t)
	b.out("query", sent, gabion.PassEgressOpen)
	b.in("first", first, gabion.PassICMPError)
	b.in("second", piece(1, 9, 40, true, make([]byte, 8)), gabion.PassICMPError)
	b.setRules()
	b.in("third in another epoch", piece(1, 9, 48, false, make([]byte, 8)), gabion.DropFragmentOrphan)

	b = newBench(t, unreached)
	b.in("first of no flow", first, gabion.PassRule)
	b.setRules(unreached, ssh)
	b.in("its last in another epoch, by a rule", last, gabion.PassRule)
}

func TestRules(t *testing.T) {
	in := func(source netip.Addr, port uint16) []byte {
		return in4(frame.IPv4{Source: source, Protocol: 6, Payload: frame.TCP{Source: 40000, Destination: port, Flags: frame.SYN}.Bytes()})
	}
	echo := func(kind, code uint8) []byte { return icmp(in4, frame.ICMP{Type: kind, Code: code}) }
	source, stranger := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("203.0.113.1")
	anyTCP := gabion.Rule{Protocol: gabion.TCP}
	byGroup := func(id string) gabion.Rule { return gabion.Rule{Protocol: gabion.TCP, Peer: gabion.Peer{Group: id}} }
	icmpRule := func(kind, code int) gabion.Rule {
		return gabion.Rule{Protocol: gabion.ICMP, ICMP: gabion.ICMPMatch{Type: kind, Code: code}}
	}
	network := func(s string) gabion.Rule {
		return gabion.Rule{Protocol: gabion.TCP, Peer: gabion.Peer{Network: netip.MustParsePrefix(s)}}
	}
	ports := func(start, end uint16) gabion.Rule {
		return gabion.Rule{Protocol: gabion.TCP, Ports: gabion.PortRange{Start: start, End: end}}
	}
	for _, c := range []struct {
		name  string
		rule  gabion.Rule
		frame []byte
		want  gabion.Reason
	}{
		{"any port", anyTCP, in(remote4, 22), gabion.PassRule},
		{"port 0", anyTCP, in(remote4, 0), gabion.PassRule},
		{"port 0 is in no range", ports(1, 65535), in(remote4, 0), gabion.DropDeniedIngress},
		{"start of a range", ports(22, 80), in(remote4, 22), gabion.PassRule},
		{"end of a range", ports(22, 80), in(remote4, 80), gabion.PassRule},
		{"before a range", ports(22, 80), in(remote4, 21), gabion.DropDeniedIngress},
		{"behind a range", ports(22, 80), in(remote4, 81), gabion.DropDeniedIngress},
		{"another protocol", anyTCP, udp(in4, 40000, 22), gabion.DropDeniedIngress},
		{"in the network", network("10.0.0.8/29"), in(remote4, 22), gabion.PassRule},
		{"not in the network", network("10.0.0.0/29"), in(remote4, 22), gabion.DropDeniedIngress},
		{"a network of the other family", network("::/0"), in(remote4, 22), gabion.DropDeniedIngress},
		{"a member", byGroup("peers"), in(remote4, 22), gabion.PassRule},
		{"an external source", byGroup("peers"), in(source, 22), gabion.PassRule},
		{"a stranger", byGroup("peers"), in(stranger, 22), gabion.DropDeniedIngress},
		{"an empty group", byGroup("empty"), in(remote4, 22), gabion.DropDeniedIngress},
		{"an unknown group", byGroup("nowhere"), in(remote4, 22), gabion.DropDeniedIngress},
		{"egress", gabion.Rule{Direction: gabion.Egress, Protocol: gabion.TCP}, in(remote4, 22), gabion.DropDeniedIngress},
		{"invalid: reversed range", gabion.Rule{Protocol: gabion.TCP, Ports: gabion.PortRange{Start: 80, End: 22}}, in(remote4, 22), gabion.DropDeniedIngress},
		{"any ICMP", icmpRule(-1, -1), echo(13, 5), gabion.PassRule},
		{"any code", icmpRule(3, -1), echo(3, 5), gabion.PassRule},
		{"another type", icmpRule(3, -1), echo(4, 5), gabion.DropDeniedIngress},
		{"that code", icmpRule(3, 5), echo(3, 5), gabion.PassRule},
		{"another code", icmpRule(3, 5), echo(3, 6), gabion.DropDeniedIngress},
		{"0/0 is echo reply", icmpRule(0, 0), echo(frame.EchoReply, 0), gabion.PassRule},
		{"0/0 is not any", icmpRule(0, 0), echo(frame.Echo, 0), gabion.DropDeniedIngress},
		{"invalid: a code of any type", icmpRule(-1, 5), echo(3, 5), gabion.DropDeniedIngress},
	} {
		newBench(t, c.rule).in(c.name, c.frame, c.want)
	}
}

func TestOrganizationsAreApart(t *testing.T) {
	b := newBench(t, gabion.Rule{Protocol: gabion.TCP, Peer: peers})
	connect := tcp(in4, syn)
	b.in("a member of the organization", connect, gabion.PassRule)

	b = newBench(t, gabion.Rule{Protocol: gabion.TCP, Peer: peers})
	b.view.Members["remote"].Organization = "red"
	b.evaluator.SetView(b.view)
	b.in("a member of another", connect, gabion.DropDeniedIngress)

	b = newBench(t, gabion.Rule{Protocol: gabion.TCP, Peer: peers})
	b.view.Groups["peers"].Organization = "red"
	b.evaluator.SetView(b.view)
	b.in("a group of another", connect, gabion.DropDeniedIngress)
	b.in("its external source", in4(frame.IPv4{Source: netip.MustParseAddr("198.51.100.1"), Protocol: 6, Payload: syn.Bytes()}), gabion.DropDeniedIngress)
}

func TestWithoutPolicy(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*gabion.Instance)
	}{
		{"no group", func(i *gabion.Instance) { i.Groups = nil }},
		{"an unknown group", func(i *gabion.Instance) { i.Groups = []string{"web", "nowhere"} }},
		{"another organization's group", func(i *gabion.Instance) { i.Organization = "red" }},
		{"nine addresses", func(i *gabion.Instance) { i.NICs[0].Addresses = repeat(nic4, 9) }},
		{"a mapped address", func(i *gabion.Instance) { i.NICs[0].Addresses = []netip.Addr{netip.MustParseAddr("::ffff:10.0.0.5")} }},
	} {
		b := newBench(t, ssh)
		c.change(b.view.Instances["one"])
		b.evaluator.SetView(b.view)
		b.in(c.name, tcp(in4, syn), gabion.DropNoPolicy)
		b.out(c.name, tcp(out4, syn), gabion.DropNoPolicy)
	}
}
