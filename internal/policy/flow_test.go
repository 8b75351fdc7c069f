package policy_test

import (
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
	"github.com/gabion/gabion/test/frame"
)

// The remote (R) connects to the instance (I) at port 22.
func fromR(flags uint8, sequence, acknowledgment uint32, payload string) []byte {
	return tcp(in4, frame.TCP{
		Source: 40000, Destination: 22, Flags: flags,
		Sequence: sequence, Acknowledgment: acknowledgment, Payload: []byte(payload),
	})
}

func fromI(flags uint8, sequence, acknowledgment uint32, payload string) []byte {
	return tcp(out4, frame.TCP{
		Source: 22, Destination: 40000, Flags: flags,
		Sequence: sequence, Acknowledgment: acknowledgment, Payload: []byte(payload),
	})
}

const synACK = frame.SYN | frame.ACK

// connected is a bench with an established connection: R sent up to 101, I up to 501.
func connected(t *testing.T, rules ...gabion.Rule) *bench {
	b := newBench(t, rules...)
	b.in("SYN", fromR(frame.SYN, 100, 0, ""), gabion.PassRule)
	b.out("SYN+ACK", fromI(synACK, 500, 101, ""), gabion.PassFlow)
	b.in("ACK", fromR(frame.ACK, 101, 501, ""), gabion.PassFlow)
	return b
}

func TestTCPWithoutFlow(t *testing.T) {
	for _, c := range []struct {
		flags uint8
		want  gabion.Reason
	}{
		{frame.SYN, gabion.PassRule},
		{frame.SYN | frame.ECE | frame.CWR, gabion.PassRule},
		{frame.SYN | frame.PSH, gabion.PassRule},
		{0, gabion.DropNoFlow},
		{frame.ACK, gabion.DropNoFlow},
		{synACK, gabion.DropNoFlow},
		{frame.SYN | frame.RST, gabion.DropNoFlow},
		{frame.SYN | frame.FIN, gabion.DropNoFlow},
		{frame.RST, gabion.DropNoFlow},
		{frame.FIN, gabion.DropNoFlow},
	} {
		newBench(t, ssh).in("flags", fromR(c.flags, 1, 1, ""), c.want)
	}
	newBench(t, ssh).in("SYN with data", fromR(frame.SYN, 1, 0, "fast open"), gabion.PassRule)
	newBench(t).in("SYN without a rule", fromR(frame.SYN, 1, 0, ""), gabion.DropDeniedIngress)
	newBench(t).out("SYN while egress is open", fromI(frame.SYN, 1, 0, ""), gabion.PassEgressOpen)
	newBench(t, webOut).out("SYN once it is not", fromI(frame.SYN, 1, 0, ""), gabion.DropDeniedEgress)
}

func TestTCPTimeouts(t *testing.T) {
	for _, c := range []struct {
		name    string
		timeout time.Duration
		prepare func(*bench)
	}{
		{"half-open", 60 * time.Second, func(b *bench) {
			b.in("SYN", fromR(frame.SYN, 100, 0, ""), gabion.PassRule)
		}},
		{"syn-ack", 60 * time.Second, func(b *bench) {
			b.in("SYN", fromR(frame.SYN, 100, 0, ""), gabion.PassRule)
			b.out("SYN+ACK", fromI(synACK, 500, 101, ""), gabion.PassFlow)
		}},
		{"established", 8000 * time.Second, func(b *bench) {
			b.in("SYN", fromR(frame.SYN, 100, 0, ""), gabion.PassRule)
			b.out("SYN+ACK", fromI(synACK, 500, 101, ""), gabion.PassFlow)
			b.in("ACK", fromR(frame.ACK, 101, 501, ""), gabion.PassFlow)
		}},
		{"not established by a SYN+ACK of the opener", 60 * time.Second, func(b *bench) {
			b.in("SYN", fromR(frame.SYN, 100, 0, ""), gabion.PassRule)
			b.out("SYN+ACK", fromI(synACK, 500, 101, ""), gabion.PassFlow)
			b.in("SYN+ACK", fromR(synACK, 100, 501, ""), gabion.PassFlow)
		}},
		{"FIN from both", 10 * time.Second, func(b *bench) {
			*b = *connected(t, ssh)
			b.out("FIN", fromI(frame.FIN|frame.ACK, 501, 101, ""), gabion.PassFlow)
			b.in("FIN", fromR(frame.FIN|frame.ACK, 101, 502, ""), gabion.PassFlow)
		}},
		{"FIN from one", 8000 * time.Second, func(b *bench) {
			*b = *connected(t, ssh)
			b.out("FIN", fromI(frame.FIN|frame.ACK, 501, 101, ""), gabion.PassFlow)
			b.out("FIN again", fromI(frame.FIN|frame.ACK, 501, 101, ""), gabion.PassFlow)
		}},
		{"RST in window", 10 * time.Second, func(b *bench) {
			*b = *connected(t, ssh)
			b.in("RST", fromR(frame.RST, 101, 0, ""), gabion.PassFlow)
		}},
		{"RST before the window", 8000 * time.Second, func(b *bench) {
			*b = *connected(t, ssh)
			b.in("data", fromR(frame.ACK, 101, 501, "0123456789"), gabion.PassFlow)
			b.out("ACK", fromI(frame.ACK, 501, 111, ""), gabion.PassFlow)
			b.in("RST", fromR(frame.RST, 110, 0, ""), gabion.PassFlow)
		}},
		{"RST behind the window", 8000 * time.Second, func(b *bench) {
			*b = *connected(t, ssh)
			b.in("RST", fromR(frame.RST, 102, 0, ""), gabion.PassFlow)
		}},
		{"RST by who refuses", 10 * time.Second, func(b *bench) {
			b.in("SYN", fromR(frame.SYN, 100, 0, ""), gabion.PassRule)
			b.out("RST", fromI(frame.RST|frame.ACK, 0, 101, ""), gabion.PassFlow)
		}},
		{"RST by who guesses", 60 * time.Second, func(b *bench) {
			b.in("SYN", fromR(frame.SYN, 100, 0, ""), gabion.PassRule)
			b.out("RST", fromI(frame.RST|frame.ACK, 0, 100, ""), gabion.PassFlow)
			b.out("RST without ACK", fromI(frame.RST, 0, 101, ""), gabion.PassFlow)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, ssh)
			c.prepare(b)
			b.wait(c.timeout - time.Millisecond)
			b.out("just within", fromI(frame.ACK, 900, 900, ""), gabion.PassFlow)

			b = newBench(t, ssh)
			c.prepare(b)
			b.wait(c.timeout + time.Millisecond)
			b.out("just behind", fromI(frame.ACK, 900, 900, ""), gabion.DropNoFlow)
		})
	}
}

func TestTCPMarksMoveForwardOnly(t *testing.T) {
	for _, c := range []struct {
		name     string
		sequence uint32 // of a data segment of R that holds 10 bytes
		reset    uint32
		closes   bool
	}{
		{"forward", 101, 111, true},
		{"forward, past the new end", 101, 112, false},
		{"a gap", 1101, 1111, true},
		{"back", 50, 101, true},
		{"back does not move", 50, 60, false},
		{"too far", 101 + 1<<30, 111 + 1<<30, false},
		{"just not too far", 101 + 1<<30 - 11, 101 + 1<<30 - 1, true},
	} {
		b := connected(t, ssh)
		b.in(c.name, fromR(frame.ACK, c.sequence, 501, "0123456789"), gabion.PassFlow)
		b.in(c.name, fromR(frame.RST, c.reset, 0, ""), gabion.PassFlow)
		b.wait(11 * time.Second)
		want := gabion.PassFlow
		if c.closes {
			want = gabion.DropNoFlow
		}
		b.in(c.name+": after the RST", fromR(frame.ACK, 111, 501, ""), want)
	}
}

func TestTCPReuse(t *testing.T) {
	b := connected(t, ssh)
	b.in("SYN in an established connection", fromR(frame.SYN, 900, 0, ""), gabion.PassFlow)
	b.in("RST", fromR(frame.RST, 101, 0, ""), gabion.PassFlow)
	b.in("SYN in a closing one", fromR(frame.SYN, 900, 0, ""), gabion.PassRule)
	b.out("and its answer", fromI(synACK, 700, 901, ""), gabion.PassFlow)

	b = connected(t, ssh)
	b.in("RST", fromR(frame.RST, 101, 0, ""), gabion.PassFlow)
	b.setRules()
	b.in("SYN in a closing one without a rule", fromR(frame.SYN, 900, 0, ""), gabion.DropDeniedIngress)

	b = newBench(t, ssh)
	b.in("SYN", fromR(frame.SYN, 100, 0, ""), gabion.PassRule)
	b.out("SYN, at the same time", fromI(frame.SYN, 500, 0, ""), gabion.PassFlow)
	b.out("SYN+ACK", fromI(synACK, 500, 101, ""), gabion.PassFlow)
	b.in("SYN+ACK", fromR(synACK, 100, 501, ""), gabion.PassFlow)
	b.in("data", fromR(frame.ACK, 101, 501, "data"), gabion.PassFlow)
	b.wait(time.Hour)
	b.in("much later", fromR(frame.ACK, 105, 501, "data"), gabion.PassFlow)
}

func TestUDP(t *testing.T) {
	b := newBench(t, dns)
	b.in("query", udp(in4, 4000, 53), gabion.PassRule)
	b.wait(30 * time.Second)
	b.in("again", udp(in4, 4000, 53), gabion.PassFlow)
	b.wait(31 * time.Second)
	b.in("again, too late", udp(in4, 4000, 53), gabion.PassRule)
	b.out("answer", udp(out4, 53, 4000), gabion.PassFlow)
	b.wait(179 * time.Second)
	b.out("within", udp(out4, 53, 4000), gabion.PassFlow)
	b.wait(181 * time.Second)
	b.in("expired: the rules again", udp(in4, 4000, 53), gabion.PassRule)

	b = newBench(t)
	b.in("unsolicited", udp(in4, 53, 4000), gabion.DropDeniedIngress)
	b.out("query", udp(out4, 4000, 53), gabion.PassEgressOpen)
	b.in("solicited", udp(in4, 53, 4000), gabion.PassFlow)
	b.in("from another port", udp(in4, 54, 4000), gabion.DropDeniedIngress)
	b.wait(181 * time.Second)
	b.in("expired", udp(in4, 53, 4000), gabion.DropDeniedIngress)

	b = newBench(t, dns6)
	b.in("over IPv6", udp6(in6, 4000, 53), gabion.PassRule)
	b.out("its answer", udp6(out6, 53, 4000), gabion.PassFlow)
}

func TestEcho(t *testing.T) {
	request, reply := frame.ICMP{Type: frame.Echo, Identifier: 7}, frame.ICMP{Type: frame.EchoReply, Identifier: 7}
	b := newBench(t, ping)
	b.out("unsolicited reply while egress is open", icmp(out4, reply), gabion.PassEgressOpen)
	b.in("unsolicited reply", icmp(in4, reply), gabion.DropDeniedIngress)
	b.in("request", icmp(in4, request), gabion.PassRule)
	b.in("again", icmp(in4, request), gabion.PassFlow)
	b.out("reply", icmp(out4, reply), gabion.PassFlow)
	b.in("a reply with the same identifier", icmp(in4, reply), gabion.DropDeniedIngress)
	b.out("request with the same identifier", icmp(out4, request), gabion.PassEgressOpen)
	b.in("its reply", icmp(in4, reply), gabion.PassFlow)
	b.in("reply with another", icmp(in4, frame.ICMP{Type: frame.EchoReply, Identifier: 8}), gabion.DropDeniedIngress)
	b.wait(31 * time.Second)
	b.in("expired", icmp(in4, reply), gabion.DropDeniedIngress)

	b = newBench(t, pong)
	b.in("a reply that a rule admits", icmp(in4, reply), gabion.PassRule)
	b.in("leaves no flow", icmp(in4, reply), gabion.PassRule)

	b = newBench(t, ping6)
	b.in("over IPv6", icmp6(in6, frame.ICMP{Type: frame.Echo6, Identifier: 7}), gabion.PassRule)
	b.out("its reply", icmp6(out6, frame.ICMP{Type: frame.EchoReply6, Identifier: 7}), gabion.PassFlow)
}

func TestOtherProtocols(t *testing.T) {
	wrapped := func(wrap func(frame.IPv4) []byte, protocol uint8) []byte {
		return wrap(frame.IPv4{Protocol: protocol, Payload: []byte("tunneled")})
	}
	b := newBench(t, gre)
	b.in("GRE", wrapped(in4, 47), gabion.PassRule)
	b.wait(599 * time.Second)
	b.out("back", wrapped(out4, 47), gabion.PassFlow)
	b.wait(601 * time.Second)
	b.in("expired: the rules again", wrapped(in4, 47), gabion.PassRule)
	b.in("ESP", wrapped(in4, 50), gabion.DropDeniedIngress)
	b.in("SCTP, which no rule names", wrapped(in4, 132), gabion.DropDeniedIngress)
	b.out("SCTP", wrapped(out4, 132), gabion.PassEgressOpen)
	b.in("its return", wrapped(in4, 132), gabion.PassFlow)

	all6 := gabion.Rule{Protocol: gabion.ICMPv6, ICMP: gabion.AnyICMP, Peer: peers}
	all4 := gabion.Rule{Protocol: gabion.ICMP, ICMP: gabion.AnyICMP, Peer: peers}
	b = newBench(t, all4, all6)
	b.in("ICMP over IPv4", wrapped(in4, 1), gabion.PassRule)
	b.in("ICMPv6 over IPv4", wrapped(in4, 58), gabion.DropDeniedIngress)
	b.in("ICMP over IPv6", in6(frame.IPv6{Protocol: 1, Payload: []byte("tunneled")}), gabion.DropDeniedIngress)
	b.in("ICMPv6 over IPv6", in6(frame.IPv6{Protocol: 58, Payload: []byte("tunneled")}), gabion.PassRule)
}

func TestRevocation(t *testing.T) {
	data := fromR(frame.ACK, 101, 501, "data")
	b := connected(t, ssh)
	b.setRules(ssh, dns)
	b.in("a rule more", data, gabion.PassFlow)
	b.setRules(dns)
	b.in("the rule is gone", data, gabion.DropRevoked)
	b.out("the other way", fromI(frame.ACK, 501, 105, ""), gabion.DropRevoked)
	b.in("SYN", fromR(frame.SYN, 900, 0, ""), gabion.DropRevoked)
	b.setRules(gabion.Rule{ID: "ssh again", Protocol: gabion.TCP, Ports: ssh.Ports})
	b.in("the rule is back", data, gabion.PassFlow)

	b = connected(t, ssh)
	b.setRules()
	b.wait(8001 * time.Second)
	b.in("cut and expired", data, gabion.DropNoFlow)

	b = newBench(t, dns)
	b.in("query", udp(in4, 4000, 53), gabion.PassRule)
	b.out("answer", udp(out4, 53, 4000), gabion.PassFlow)
	b.setRules()
	b.in("the rule is gone", udp(in4, 4000, 53), gabion.DropRevoked)
	b.out("but egress is open", udp(out4, 53, 4000), gabion.PassEgressOpen)
	b.in("and that is another flow", udp(in4, 4000, 53), gabion.PassFlow)

	request, reply := frame.ICMP{Type: frame.Echo, Identifier: 7}, frame.ICMP{Type: frame.EchoReply, Identifier: 7}
	b = newBench(t)
	b.out("request", icmp(out4, request), gabion.PassEgressOpen)
	b.setRules(webOut)
	b.in("reply to a revoked request", icmp(in4, reply), gabion.DropRevoked)
	b.setRules(webOut, pong)
	b.in("reply that a rule admits by itself", icmp(in4, reply), gabion.PassRule)
	b.setRules()
	b.in("reply once the request is admitted again", icmp(in4, reply), gabion.PassFlow)
}

func TestFullTable(t *testing.T) {
	b := newBench(t)
	b.configure(policy.Config{MaxFlows: 2}, dns)
	for port := range uint16(3) {
		b.in("query", udp(in4, 4000+port, 53), gabion.PassRule)
	}
	for port := range uint16(3) {
		b.out("answers fill nothing", udp(out4, 53, 4000+port), gabion.PassFlow)
		b.out("more of them neither", udp(out4, 53, 4000+port), gabion.PassFlow)
	}
	b.in("second query", udp(in4, 4000, 53), gabion.PassFlow)
	b.in("third query needs no more room", udp(in4, 4000, 53), gabion.PassFlow)
	b.in("second query", udp(in4, 4001, 53), gabion.PassFlow)
	b.in("second query that does not fit", udp(in4, 4002, 53), gabion.DropTableFull)
	b.in("and again", udp(in4, 4002, 53), gabion.DropTableFull)
	b.out("its flow is there", udp(out4, 53, 4002), gabion.PassFlow)
	b.in("a query that is settled", udp(in4, 4000, 53), gabion.PassFlow)

	b.wait(186 * time.Second)
	b.in("query", udp(in4, 4002, 53), gabion.PassRule)
	b.out("its answer", udp(out4, 53, 4002), gabion.PassFlow)
	b.in("what expired still fills the table", udp(in4, 4002, 53), gabion.DropTableFull)
	b.in("query of an expired flow takes its place", udp(in4, 4001, 53), gabion.PassRule)
	b.in("so there is room", udp(in4, 4002, 53), gabion.PassFlow)
	b.out("for one", udp(out4, 53, 4001), gabion.PassFlow)
	b.in("and no more", udp(in4, 4001, 53), gabion.DropTableFull)
	b.evaluator.Collect(uint64(b.now))
	b.in("for more once collected", udp(in4, 4001, 53), gabion.PassFlow)
}

// TestWhatSettles holds what fills a table that has no room.
func TestWhatSettles(t *testing.T) {
	full := func(rules ...gabion.Rule) *bench {
		b := newBench(t)
		b.configure(policy.Config{MaxFlows: 1}, append(rules, dns)...)
		b.in("query", udp(in4, 3999, 53), gabion.PassRule)
		b.out("answer", udp(out4, 53, 3999), gabion.PassFlow)
		b.in("second query", udp(in4, 3999, 53), gabion.PassFlow)
		return b
	}
	b := full(ssh)
	b.in("SYN", fromR(frame.SYN, 100, 0, ""), gabion.PassRule)
	b.in("SYN again", fromR(frame.SYN, 100, 0, ""), gabion.PassFlow)
	b.out("SYN+ACK", fromI(synACK, 500, 101, ""), gabion.PassFlow)
	b.out("SYN+ACK again", fromI(synACK, 500, 101, ""), gabion.PassFlow)
	b.in("RST+ACK, but not in window", fromR(frame.RST|frame.ACK, 9, 501, ""), gabion.PassFlow)
	b.in("ACK", fromR(frame.ACK, 101, 501, ""), gabion.DropTableFull)
	b.in("ACK again", fromR(frame.ACK, 101, 501, ""), gabion.DropTableFull)
	b.in("which moves nothing: a RST behind it", fromR(frame.RST, 102, 0, ""), gabion.PassFlow)
	b.in("so it is in no window", fromR(frame.ACK, 101, 501, ""), gabion.DropTableFull)
	b.in("a RST that closes needs no room", fromR(frame.RST, 101, 0, ""), gabion.PassFlow)
	b.in("nor what follows it", fromR(frame.ACK, 101, 501, ""), gabion.PassFlow)

	b = full(ssh)
	b.in("SYN", fromR(frame.SYN, 100, 0, ""), gabion.PassRule)
	b.out("SYN+ACK", fromI(synACK, 500, 101, ""), gabion.PassFlow)
	b.out("FIN", fromI(frame.FIN|frame.ACK, 501, 101, ""), gabion.PassFlow)
	b.in("FIN closes at once, and needs no room", fromR(frame.FIN|frame.ACK, 101, 502, ""), gabion.PassFlow)

	b = full(ping)
	b.in("echo", icmp(in4, frame.ICMP{Type: frame.Echo}), gabion.PassRule)
	b.in("another", icmp(in4, frame.ICMP{Type: frame.Echo}), gabion.PassFlow)
	b.out("its reply", icmp(out4, frame.ICMP{Type: frame.EchoReply}), gabion.PassFlow)
	b.in("another", icmp(in4, frame.ICMP{Type: frame.Echo}), gabion.DropTableFull)

	b = full()
	b.out("query of the instance", udp(out4, 4000, 53), gabion.PassEgressOpen)
	b.in("answer", udp(in4, 53, 4000), gabion.PassFlow)
	b.out("second query", udp(out4, 4000, 53), gabion.DropTableFull)
	b.setRules(webOut)
	b.out("second query, revoked: nobody asks for room", udp(out4, 4000, 53), gabion.DropRevoked)

	b = full(gre)
	tunneled := frame.IPv4{Protocol: 47, Payload: []byte("tunneled")}
	b.in("GRE", in4(tunneled), gabion.PassRule)
	b.out("back", out4(tunneled), gabion.PassFlow)
	b.in("and again", in4(tunneled), gabion.DropTableFull)
}

func TestStateStaysWithItsNIC(t *testing.T) {
	b := connected(t, ssh)
	data := fromR(frame.ACK, 101, 501, "data")
	b.view.Instances["one"].ID = "two"
	b.view.Instances["two"] = b.view.Instances["one"]
	delete(b.view.Instances, "one")
	b.evaluator.SetView(b.view)
	b.in("another instance with the address and interface", data, gabion.DropNoFlow)
}
