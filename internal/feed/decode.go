package feed

import (
	"fmt"
	"math"
	"net/netip"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/policy"
)

// decodeDelta reads a delta for the host, and refuses all of it if anything in
// it could not have been meant.
func decodeDelta(host string, m *feedpb.Delta) (*policy.Delta, error) {
	if m.GetRevision() <= 0 {
		return nil, fmt.Errorf("revision %d is not positive", m.GetRevision())
	}
	d := &policy.Delta{
		Revision:      m.Revision,
		GoneGroups:    m.GoneGroups,
		GoneMembers:   m.GoneMembers,
		GoneInstances: m.GoneInstances,
	}
	for _, ids := range [][]string{d.GoneGroups, d.GoneMembers, d.GoneInstances} {
		if err := checkIDs(ids); err != nil {
			return nil, err
		}
	}
	var err error
	if d.Groups, err = eachChecked("group", m.Groups, decodeGroup); err != nil {
		return nil, err
	}
	if d.Members, err = eachChecked("member", m.Members, decodeMember); err != nil {
		return nil, err
	}
	d.Instances, err = eachChecked("instance", m.Instances, func(m *feedpb.Instance) (*gabion.Instance, error) {
		return decodeInstance(host, m)
	})
	return d, err
}

// decodeView reads a delta that is a whole view.
func decodeView(host string, m *feedpb.Delta) (*policy.View, error) {
	d, err := decodeDelta(host, m)
	if err != nil {
		return nil, err
	}
	v := policy.NewView()
	v.Apply(d)
	return v, nil
}

func eachChecked[From, To any](kind string, from []From, convert func(From) (To, error)) ([]To, error) {
	if len(from) == 0 {
		return nil, nil
	}
	to := make([]To, len(from))
	for i, f := range from {
		var err error
		if to[i], err = convert(f); err != nil {
			return nil, fmt.Errorf("%s %d: %w", kind, i, err)
		}
	}
	return to, nil
}

func decodeGroup(m *feedpb.Group) (*policy.Group, error) {
	if err := checkIDs([]string{m.GetId(), m.GetOrganization()}); err != nil {
		return nil, err
	}
	g := &policy.Group{ID: m.Id, Organization: m.Organization, Name: m.Name}
	if err := gabion.ValidateName("name", g.Name); err != nil {
		return nil, err
	}
	var err error
	if g.Sources, err = eachChecked("source", m.Sources, decodePrefix); err != nil {
		return nil, err
	}
	g.Rules, err = eachChecked("rule", m.Rules, func(m *feedpb.Rule) (gabion.Rule, error) {
		return decodeRule(g.ID, m)
	})
	if err != nil {
		return nil, err
	}
	for i := 1; i < len(g.Rules); i++ {
		if g.Rules[i-1].ID >= g.Rules[i].ID {
			return nil, fmt.Errorf("rule %d is out of order", i)
		}
	}
	return g, nil
}

func decodeRule(group string, m *feedpb.Rule) (gabion.Rule, error) {
	if m.GetDirection() > math.MaxUint8 || m.GetProtocol() > math.MaxUint8 ||
		m.GetStartPort() > math.MaxUint16 || m.GetEndPort() > math.MaxUint16 {
		return gabion.Rule{}, fmt.Errorf("%q has a number that is out of range", m.GetId())
	}
	r := gabion.Rule{
		ID:          m.GetId(),
		Group:       group,
		Direction:   gabion.Direction(m.GetDirection()),
		Protocol:    gabion.Protocol(m.GetProtocol()),
		Ports:       gabion.PortRange{Start: uint16(m.GetStartPort()), End: uint16(m.GetEndPort())},
		ICMP:        gabion.ICMPMatch{Type: int(m.GetIcmpType()), Code: int(m.GetIcmpCode())},
		Peer:        gabion.Peer{Group: m.GetPeerGroup()},
		Description: m.GetDescription(),
	}
	if len(m.GetNetwork()) > 0 {
		var err error
		if r.Peer.Network, err = decodePrefix(m.GetNetwork()); err != nil {
			return gabion.Rule{}, err
		}
	}
	return r, checkRule(&r)
}

func decodeMember(m *feedpb.Member) (*policy.Member, error) {
	if err := checkIDs(append([]string{m.GetInstance(), m.GetOrganization()}, m.GetGroups()...)); err != nil {
		return nil, err
	}
	if len(m.Groups) == 0 || len(m.Groups) > gabion.MaxGroupsPerInstance {
		return nil, fmt.Errorf("%q holds %d groups", m.Instance, len(m.Groups))
	}
	for i := 1; i < len(m.Groups); i++ {
		if m.Groups[i-1] >= m.Groups[i] {
			return nil, fmt.Errorf("%q names its groups out of order", m.Instance)
		}
	}
	addresses, err := eachChecked("address", m.Addresses, decodeAddress)
	return &policy.Member{Instance: m.Instance, Organization: m.Organization, Addresses: addresses, Groups: m.Groups}, err
}

func decodeInstance(host string, m *feedpb.Instance) (*gabion.Instance, error) {
	nics, err := eachChecked("interface", m.GetNics(), decodeNIC)
	if err != nil {
		return nil, err
	}
	i := &gabion.Instance{
		ID:           m.GetId(),
		Organization: m.GetOrganization(),
		Name:         m.GetName(),
		Host:         host,
		Groups:       m.GetGroups(),
		NICs:         nics,
	}
	return i, checkInstance(i)
}

func decodeNIC(m *feedpb.NIC) (gabion.NIC, error) {
	n := gabion.NIC{Interface: m.GetInterface(), Managed: m.GetManaged()}
	if copy(n.MAC[:], m.GetMac()) != len(n.MAC) || len(m.GetMac()) != len(n.MAC) {
		return n, fmt.Errorf("a MAC of %d bytes", len(m.GetMac()))
	}
	var err error
	n.Addresses, err = eachChecked("address", m.GetAddresses(), decodeAddress)
	return n, err
}

func decodeAddress(b []byte) (netip.Addr, error) {
	a, ok := netip.AddrFromSlice(b)
	if !ok || a.Is4In6() {
		return netip.Addr{}, fmt.Errorf("%x is not an address", b)
	}
	return a, nil
}

func decodePrefix(b []byte) (netip.Prefix, error) {
	if len(b) == 0 {
		return netip.Prefix{}, fmt.Errorf("an empty network")
	}
	address, err := decodeAddress(b[:len(b)-1])
	if err != nil {
		return netip.Prefix{}, err
	}
	p := netip.PrefixFrom(address, int(b[len(b)-1]))
	return p, checkNetwork(p)
}
