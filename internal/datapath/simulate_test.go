package datapath_test

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/datapath"
	"github.com/gabion/gabion/internal/policy"
)

// question is what the programs ask of the maps when no flow answers.
type question struct {
	ifindex   uint32
	direction gabion.Direction
	remote    netip.Addr
	protocol  gabion.Protocol
	port      uint16 // for ICMP: type<<8|code
}

// answer is what the maps say.
type answer struct {
	pass bool
	rule string // id, if a rule admits
}

// simulate answers by the tables as the programs do: NIC, then membership and
// class, then policies, each a longest prefix match.
func simulate(t *datapath.Tables, q question) answer {
	return simulateOver(func() *datapath.Tables { return t }, q)
}

// simulateOver answers by tables that may be others at each lookup.
func simulateOver(now func() *datapath.Tables, q question) answer {
	nic, ok := now().NICs[q.ifindex]
	if !ok {
		return answer{}
	}
	if q.direction == gabion.Egress {
		if set := now().PolicySets[nic.PolicySet]; set != nil && set.Flags&datapath.EgressClosed == 0 {
			return answer{pass: true}
		}
	}
	for _, peer := range peersOf(now, nic, q) {
		t := now()
		if set := t.PolicySets[nic.PolicySet]; set == nil {
			return answer{}
		} else if slot, ok := lookupPolicy(set.Policies, peer, q); ok {
			return answer{pass: true, rule: t.Rules[slot]}
		}
	}
	return answer{}
}

// peersOf looks up who the remote is.
func peersOf(now func() *datapath.Tables, nic datapath.NIC, q question) []uint32 {
	var peers []uint32
	address := datapath.Address{Bytes: q.remote.As16()}
	if number, ok := now().Members[datapath.MemberKey{Net: nic.Net, Address: address}]; ok {
		groups := now().RemoteSets[number].Groups
		end := slices.Index(groups[:], 0)
		if end < 0 {
			end = len(groups)
		}
		peers = append(peers, groups[:end]...)
	}
	if set := now().PolicySets[nic.PolicySet]; set != nil {
		if class, ok := lookupCIDR(set.CIDRs[q.direction], q.remote); ok {
			peers = append(peers, datapath.PeerClass|class)
		}
	}
	return peers
}

func lookupCIDR(cidrs map[datapath.CIDRKey]uint32, a netip.Addr) (uint32, bool) {
	for bits := 128; bits >= 0; bits-- {
		masked := netip.PrefixFrom(netip.AddrFrom16(a.As16()), bits).Masked()
		key := datapath.CIDRKey{Prefixlen: uint32(bits), Address: datapath.Address{Bytes: masked.Addr().As16()}}
		if class, ok := cidrs[key]; ok {
			return class, true
		}
	}
	return 0, false
}

func lookupPolicy(policies map[datapath.PolicyKey]uint32, peer uint32, q question) (uint32, bool) {
	for bits := 16; bits >= 0; bits-- {
		port := q.port >> (16 - bits) << (16 - bits)
		key := datapath.PolicyKey{
			Prefixlen: uint32(48 + bits),
			Peer:      binary.NativeEndian.Uint32(binary.BigEndian.AppendUint32(nil, peer)),
			Direction: uint8(q.direction),
			Protocol:  uint8(q.protocol),
			Port:      binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, port)),
		}
		if slot, ok := policies[key]; ok {
			return slot, true
		}
	}
	return 0, false
}

// evaluate answers by the rules themselves, one after the other. rules are the ids
// of all rules that admit.
func evaluate(v *policy.View, i *gabion.Instance, q question) (pass bool, rules []string) {
	open := q.direction == gabion.Egress
	for _, g := range i.Groups {
		for _, r := range v.Groups[g].Rules {
			if r.Direction != q.direction {
				continue
			}
			open = false
			if r.Protocol == q.protocol && holdsPort(r, q.port) && holdsRemote(v, i.Organization, r.Peer, q.remote) {
				rules = append(rules, r.ID)
			}
		}
	}
	return open || len(rules) > 0, rules
}

func holdsPort(r gabion.Rule, port uint16) bool {
	if r.Protocol.IsICMP() {
		return r.ICMP.Contains(uint8(port>>8), uint8(port))
	}
	return r.Ports.Contains(port)
}

func holdsRemote(v *policy.View, organization string, p gabion.Peer, remote netip.Addr) bool {
	if !p.IsGroup() {
		return p.Network.Contains(remote)
	}
	g := v.Groups[p.Group]
	if g == nil || g.Organization != organization {
		return false
	}
	if slices.ContainsFunc(g.Sources, func(n netip.Prefix) bool { return n.Contains(remote) }) {
		return true
	}
	for _, m := range v.Members {
		if m.Organization == organization && slices.Contains(m.Addresses, remote) && slices.Contains(m.Groups, p.Group) {
			return true
		}
	}
	return false
}
