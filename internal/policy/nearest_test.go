package policy_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
)

// signpost is a world of two instances, where "web" has rules of every kind.
func signpost() *policy.World {
	network := netip.MustParsePrefix("203.0.113.0/24")
	tcp := func(id string, port uint16, peer gabion.Peer) *gabion.Rule {
		return &gabion.Rule{ID: id, Group: "web", Protocol: gabion.TCP, Ports: gabion.PortRange{Start: port, End: port}, Peer: peer}
	}
	w := policy.NewWorld()
	w.Apply(policy.Change{
		Revision: 1,
		Groups: []*gabion.Group{
			{ID: "web", Organization: "o", Name: "web"},
			{ID: "app", Organization: "o", Name: "app", Sources: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/28")}},
		},
		Rules: []*gabion.Rule{
			tcp("a", 80, gabion.Peer{Network: network}),
			tcp("b", 22, gabion.Peer{Group: "app"}),
			{ID: "c", Group: "web", Protocol: gabion.UDP, Peer: gabion.Peer{Network: network}},
			{ID: "d", Group: "web", Protocol: gabion.ICMP, ICMP: gabion.ICMPMatch{Type: 8, Code: 0}, Peer: gabion.Peer{Network: network}},
			{ID: "e", Group: "web", Direction: gabion.Egress, Protocol: gabion.TCP, Peer: gabion.Peer{Network: network}},
			{ID: "f", Group: "web", Protocol: gabion.GRE, Peer: gabion.Peer{Group: "app"}},
		},
		Instances: []*gabion.Instance{
			located("one", "10.0.0.1", "web"), located("two", "10.0.0.2", "app"),
		},
	})
	return w
}

func located(id, address, group string) *gabion.Instance {
	return &gabion.Instance{
		ID: id, Organization: "o", Name: id, Host: "h", Groups: []string{group},
		NICs: []gabion.NIC{{Interface: "tap-" + id, Addresses: []netip.Addr{netip.MustParseAddr(address)}}},
	}
}

func ask(w *policy.World, from string, s policy.Service) *policy.Decision {
	return w.Explain(policy.End{Address: netip.MustParseAddr(from)},
		policy.End{Instance: w.Instance("one"), Address: netip.MustParseAddr("10.0.0.1")}, s).Ingress
}

func TestADenialNamesTheNearestRules(t *testing.T) {
	type near map[string][]policy.Difference
	tests := map[string]struct {
		from  string
		to    policy.Service
		first string
		want  near
	}{
		"another port": {"203.0.113.9", policy.Service{Protocol: gabion.TCP, Port: 443}, "a", near{
			"a": {policy.ByPort}, "b": {policy.ByPort, policy.ByPeer}, "c": {policy.ByProtocol}, "d": {policy.ByProtocol}, "f": {policy.ByProtocol, policy.ByPeer},
		}},
		"another peer": {"203.0.113.9", policy.Service{Protocol: gabion.TCP, Port: 22}, "b", near{
			"b": {policy.ByPeer}, "a": {policy.ByPort}, "c": {policy.ByProtocol}, "d": {policy.ByProtocol}, "f": {policy.ByProtocol, policy.ByPeer},
		}},
		"another type": {"203.0.113.9", policy.Service{Protocol: gabion.ICMP, Type: 13}, "d", near{
			"d": {policy.ByICMP}, "a": {policy.ByProtocol}, "c": {policy.ByProtocol}, "b": {policy.ByProtocol, policy.ByPeer}, "f": {policy.ByProtocol, policy.ByPeer},
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := ask(signpost(), test.from, test.to)
			got := near{}
			for _, n := range d.Nearest {
				got[n.Rule.ID] = n.Differs
			}
			if diff := cmp.Diff(test.want, got); diff != "" || d.Nearest[0].Rule.ID != test.first {
				t.Errorf("nearest, %s first (-want +got):\n%s", d.Nearest[0].Rule.ID, diff)
			}
			if d.Means != nil {
				t.Errorf("a denial says how %s is meant: %v", test.from, d.Means)
			}
		})
	}
}

func TestAnAdmissionSaysWhoIsMeant(t *testing.T) {
	for from, want := range map[string]*policy.Means{
		"10.0.0.2":     {Kind: policy.ByMember, Group: "app"},
		"198.51.100.3": {Kind: policy.BySource, Group: "app", Via: netip.MustParsePrefix("198.51.100.0/28")},
		"203.0.113.9":  {Kind: policy.ByNetwork, Via: netip.MustParsePrefix("203.0.113.0/24")},
	} {
		s := policy.Service{Protocol: gabion.TCP, Port: 22}
		if want.Kind == policy.ByNetwork {
			s.Port = 80
		}
		d := ask(signpost(), from, s)
		if diff := cmp.Diff(want, d.Means, cmpopts.EquateComparable(netip.Prefix{})); diff != "" || d.Nearest != nil {
			t.Errorf("%s (-want +got):\n%s%v", from, diff, d.Nearest)
		}
	}
}

// TestOwnersFollowInstances moves an address from one instance to another.
func TestOwnersFollowInstances(t *testing.T) {
	w := signpost()
	owners := func(address string) (ids []string) {
		for _, i := range w.Owners("o", netip.MustParseAddr(address)) {
			ids = append(ids, i.ID)
		}
		return ids
	}
	w.Apply(policy.Change{Revision: 2, Instances: []*gabion.Instance{located("one", "10.0.0.9", "web"), located("two", "10.0.0.1", "app")}})
	w.Apply(policy.Change{Revision: 3, Instances: []*gabion.Instance{located("two", "10.0.0.1", "app")}})
	for address, want := range map[string][]string{"10.0.0.9": {"one"}, "10.0.0.1": {"two"}, "10.0.0.2": nil} {
		if diff := cmp.Diff(want, owners(address)); diff != "" {
			t.Errorf("owners of %s (-want +got):\n%s", address, diff)
		}
	}
	w.Apply(policy.Change{Revision: 4, GoneInstances: []string{"two"}})
	if got := owners("10.0.0.1"); got != nil {
		t.Errorf("%v own what nobody has", got)
	}
	if w.Owners("p", netip.MustParseAddr("10.0.0.9")) != nil {
		t.Error("an address is known to another organization")
	}
	if !w.Runs("h", "o", "") || !w.Runs("h", "o", "one") || w.Runs("h", "o", "two") || w.Runs("h", "p", "one") || w.Runs("i", "o", "") {
		t.Error("who runs where is wrong")
	}
	if !w.Enforces("h", "a") || w.Enforces("i", "a") || w.Enforces("h", "none") {
		t.Error("who enforces what is wrong")
	}
}
