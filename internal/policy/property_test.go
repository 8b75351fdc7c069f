package policy_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
	"github.com/gabion/gabion/test/frame"
)

// Small domains, so that rules and questions meet.
var (
	someNetworks = prefixes("0.0.0.0/0", "10.0.0.0/24", "10.0.0.8/29", "10.0.0.9/32", "::/0", "2001:db8::/64", "2001:db8::9/128")
	someRemotes  = []netip.Addr{remote4, other4, remote6, other6, netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db9::1")}
	somePorts    = []uint16{1, 21, 22, 23, 80, 65535}
	someGroups   = []string{"a", "b", "c", "empty"}
)

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for k, s := range texts {
		all[k] = netip.MustParsePrefix(s)
	}
	return all
}

func someRule(t *rapid.T, id string) gabion.Rule {
	r := gabion.Rule{
		ID:        id,
		Direction: gabion.Direction(rapid.IntRange(0, 1).Draw(t, "direction")),
		Protocol:  rapid.SampledFrom([]gabion.Protocol{gabion.TCP, gabion.UDP, gabion.ICMP, gabion.ICMPv6, gabion.GRE}).Draw(t, "protocol"),
	}
	switch {
	case r.Protocol.HasPorts() && rapid.Bool().Draw(t, "has ports"):
		start := rapid.SampledFrom(somePorts).Draw(t, "start")
		end := rapid.SampledFrom(somePorts).Draw(t, "end")
		r.Ports = gabion.PortRange{Start: min(start, end), End: max(start, end)}
	case r.Protocol.IsICMP():
		r.ICMP = rapid.SampledFrom([]gabion.ICMPMatch{gabion.AnyICMP, {Type: 0, Code: 0}, {Type: 8, Code: -1}, {Type: 8, Code: 3}}).Draw(t, "icmp")
	}
	if rapid.Bool().Draw(t, "by group") {
		r.Peer.Group = rapid.SampledFrom(someGroups).Draw(t, "peer")
	} else {
		r.Peer.Network = rapid.SampledFrom(someNetworks).Draw(t, "network")
	}
	return r
}

// someView is a view of one instance in groups a and b.
func someView(t *rapid.T) *policy.View {
	v := policy.NewView()
	for _, id := range someGroups {
		g := &policy.Group{ID: id, Organization: "blue", Name: id}
		for k := range rapid.IntRange(0, 3).Draw(t, "rules of "+id) {
			r := someRule(t, fmt.Sprintf("%s%d", id, k))
			r.Group = id
			g.Rules = append(g.Rules, r)
		}
		if id != "empty" {
			g.Sources = rapid.SliceOfN(rapid.SampledFrom(someNetworks), 0, 1).Draw(t, "sources of "+id)
		}
		v.Groups[id] = g
	}
	for k, a := range someRemotes {
		groups := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 2, rapid.ID).Draw(t, "groups of a member")
		if len(groups) > 0 {
			id := fmt.Sprintf("m%d", k)
			v.Members[id] = &policy.Member{Instance: id, Organization: "blue", Addresses: []netip.Addr{a}, Groups: groups}
		}
	}
	v.Instances["one"] = &gabion.Instance{
		ID: "one", Organization: "blue", Groups: []string{"a", "b"},
		NICs: []gabion.NIC{{Interface: tap, MAC: nicMAC, Addresses: []netip.Addr{nic4, nic6}}},
	}
	return v
}

func someQuestion(t *rapid.T) policy.Question {
	return policy.Question{
		Direction: gabion.Direction(rapid.IntRange(0, 1).Draw(t, "direction")),
		Remote:    rapid.SampledFrom(someRemotes).Draw(t, "remote"),
		Protocol:  rapid.SampledFrom([]gabion.Protocol{gabion.TCP, gabion.UDP, gabion.ICMP, gabion.ICMPv6, gabion.GRE, 132}).Draw(t, "protocol"),
		Port:      rapid.SampledFrom(append(somePorts, 0)).Draw(t, "port"),
		Type:      rapid.SampledFrom([]uint8{0, 3, 8}).Draw(t, "type"),
		Code:      rapid.SampledFrom([]uint8{0, 3}).Draw(t, "code"),
	}
}

// bruteForce spells the rules' meaning out over plain loops.
func bruteForce(v *policy.View, q policy.Question) gabion.Verdict {
	hasEgressRule := false
	for _, id := range v.Instances["one"].Groups {
		for _, r := range v.Groups[id].Rules {
			hasEgressRule = hasEgressRule || r.Direction == gabion.Egress
			if r.Direction == q.Direction && r.Protocol == q.Protocol && means(r, q) && holds(v, r.Peer, q.Remote) {
				return gabion.Pass
			}
		}
	}
	if q.Direction == gabion.Egress && !hasEgressRule {
		return gabion.Pass
	}
	return gabion.Drop
}

func means(r gabion.Rule, q policy.Question) bool {
	switch q.Protocol {
	case gabion.TCP, gabion.UDP:
		return r.Ports == gabion.PortRange{} || r.Ports.Start <= q.Port && q.Port <= r.Ports.End
	case gabion.ICMP, gabion.ICMPv6:
		sameFamily := (q.Protocol == gabion.ICMP) == q.Remote.Is4()
		typeFits := r.ICMP.Type == -1 || r.ICMP.Type == int(q.Type)
		return sameFamily && typeFits && (r.ICMP.Code == -1 || r.ICMP.Code == int(q.Code))
	default:
		return true
	}
}

func holds(v *policy.View, p gabion.Peer, a netip.Addr) bool {
	if p.Group == "" {
		return p.Network.Contains(a)
	}
	for _, m := range v.Members {
		if slices.Contains(m.Groups, p.Group) && slices.Contains(m.Addresses, a) {
			return true
		}
	}
	for _, s := range v.Groups[p.Group].Sources {
		if s.Contains(a) {
			return true
		}
	}
	return false
}

func isValid(v *policy.View) bool {
	for _, g := range v.Groups {
		for k := range g.Rules {
			if g.Rules[k].Validate() != nil {
				return false
			}
		}
	}
	return true
}

func TestDecideIsTheRulesMeaning(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Custom(someView).Filter(isValid).Draw(t, "view")
		for range 20 {
			q := someQuestion(t)
			got := v.Decide(v.Instances["one"], q)
			if want := bruteForce(v, q); got.Verdict() != want {
				t.Fatalf("%+v: %s, want %s", q, got.Reason, want)
			}
			if (got.Reason == gabion.PassRule) != (got.Rule != nil) {
				t.Fatalf("%+v: %s by rule %v", q, got.Reason, got.Rule)
			}
		}
	})
}

// TestAddingNeverTakesAway holds for rules and groups, the egress switch apart.
func TestAddingNeverTakesAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := someView(t)
		i := v.Instances["one"]
		questions := make([]policy.Question, 20)
		var before []gabion.Verdict
		for k := range questions {
			questions[k] = someQuestion(t)
			before = append(before, v.Decide(i, questions[k]).Verdict())
		}
		wasClosed := closesEgress(v, i)
		if rapid.Bool().Draw(t, "a group") {
			i.Groups = append(slices.Clone(i.Groups), "c")
		} else {
			v.Groups["a"].Rules = append(v.Groups["a"].Rules, someRule(t, "new"))
		}
		for k, q := range questions {
			if q.Direction == gabion.Egress && !wasClosed && closesEgress(v, i) {
				continue
			}
			if before[k] == gabion.Pass && v.Decide(i, q).Verdict() == gabion.Drop {
				t.Fatalf("%+v passed before, and now does not", q)
			}
		}
	})
}

func closesEgress(v *policy.View, i *gabion.Instance) bool {
	return slices.ContainsFunc(i.Groups, func(id string) bool { return v.Groups[id].ClosesEgress() })
}

// TestAnEmptyGroupMatchesNothing asks everything of rules that name one.
func TestAnEmptyGroupMatchesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := someView(t)
		for _, g := range v.Groups {
			for k := range g.Rules {
				g.Rules[k].Peer = gabion.Peer{Group: "empty"}
			}
		}
		if q := someQuestion(t); v.Decide(v.Instances["one"], q).Rule != nil {
			t.Fatalf("%+v passes by a rule", q)
		}
	})
}

// TestFramesGetWhatDecideSays holds the evaluator's first packets against the
// stateless question.
func TestFramesGetWhatDecideSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := someView(t)
		e := policy.NewEvaluator(policy.Config{})
		e.SetView(v)
		q := someQuestion(t)
		if q.Protocol.IsICMP() {
			q.Type = 8 // which is of no neighbour discovery, nor an error
		}
		f := policy.Frame{Data: opener(q)}
		got := e.ToInstance(uint64(time.Hour), tap, f)
		if q.Direction == gabion.Egress {
			got = e.FromInstance(uint64(time.Hour), tap, f)
		}
		if want := v.Decide(v.Instances["one"], normal(q)); got.Reason != want.Reason {
			t.Fatalf("%+v: %s, want %s", q, got.Reason, want.Reason)
		}
	})
}

// normal is the question as a frame asks it: without what the protocol has not.
func normal(q policy.Question) policy.Question {
	if !q.Protocol.HasPorts() {
		q.Port = 0
	}
	return q
}

// opener is a frame that asks the question.
func opener(q policy.Question) []byte {
	var payload []byte
	switch q.Protocol {
	case gabion.TCP:
		payload = frame.TCP{Source: 40000, Destination: q.Port, Flags: frame.SYN}.Bytes()
	case gabion.UDP:
		payload = frame.UDP{Source: 40000, Destination: q.Port}.Bytes()
	default:
		payload = frame.ICMP{Type: q.Type, Code: q.Code}.Bytes()
	}
	protocol := uint8(q.Protocol)
	switch {
	case q.Remote.Is4() && q.Direction == gabion.Ingress:
		return in4(frame.IPv4{Source: q.Remote, Protocol: protocol, Payload: payload})
	case q.Remote.Is4():
		return out4(frame.IPv4{Destination: q.Remote, Protocol: protocol, Payload: payload})
	case q.Direction == gabion.Ingress:
		return in6(frame.IPv6{Source: q.Remote, Protocol: protocol, Payload: payload})
	}
	return out6(frame.IPv6{Destination: q.Remote, Protocol: protocol, Payload: payload})
}

// TestExpiredStateNeverAdmits takes any short history, waits for longer than any
// timeout, takes every rule away, and expects what a fresh NIC would say.
func TestExpiredStateNeverAdmits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBench(t, ssh, dns, ping, gre)
		frames := rapid.SliceOfN(rapid.SampledFrom(conversation()), 1, 20).Draw(t, "frames")
		for _, f := range frames {
			f.send(b)
			b.wait(time.Duration(rapid.IntRange(0, 40).Draw(t, "seconds")) * time.Second)
		}
		b.setRules(webOut)
		b.wait(8001 * time.Second)
		fresh := newBench(t, webOut)
		for _, f := range frames {
			if got, want := f.send(b), f.send(fresh); got != want {
				t.Fatalf("%s: %s, want %s", f.what, got.Reason, want.Reason)
			}
		}
	})
}

// sentence is one frame of a conversation.
type sentence struct {
	what string
	out  bool
	data []byte
}

func (s sentence) send(b *bench) policy.Result {
	if s.out {
		return b.evaluator.FromInstance(uint64(b.now), tap, policy.Frame{Data: s.data})
	}
	return b.evaluator.ToInstance(uint64(b.now), tap, policy.Frame{Data: s.data})
}

// conversation has all that makes state, and all that state admits.
func conversation() []sentence {
	echo, reply := frame.ICMP{Type: frame.Echo, Identifier: 7}, frame.ICMP{Type: frame.EchoReply, Identifier: 7}
	tunneled := frame.IPv4{Protocol: 47, Payload: []byte("tunneled")}
	return []sentence{
		{"SYN", false, fromR(frame.SYN, 100, 0, "")},
		{"SYN+ACK", true, fromI(synACK, 500, 101, "")},
		{"ACK", false, fromR(frame.ACK, 101, 501, "")},
		{"FIN", true, fromI(frame.FIN|frame.ACK, 501, 101, "")},
		{"FIN", false, fromR(frame.FIN|frame.ACK, 101, 502, "")},
		{"RST", false, fromR(frame.RST, 101, 0, "")},
		{"UDP query", false, udp(in4, 4000, 53)},
		{"UDP answer", true, udp(out4, 53, 4000)},
		{"UDP error", true, about(out4, frame.Unreachable, quote(udp(in4, 4000, 53), 20))},
		{"echo", false, icmp(in4, echo)},
		{"echo reply", true, icmp(out4, reply)},
		{"GRE", false, in4(tunneled)},
		{"GRE", true, out4(tunneled)},
		{"first fragment", false, piece(17, 1, 0, true, query(2))},
		{"later fragment", false, piece(17, 1, 16, false, make([]byte, 8))},
	}
}
