package api

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
	"github.com/gabion/gabion/internal/policy"
)

func newMemberships(bodies []openapi.Identified) ([]string, error) {
	var ids []string
	for i, body := range bodies {
		if err := requireID(fmt.Sprintf("security-groups[%d].id", i), body.ID); err != nil {
			return nil, err
		}
		ids = append(ids, body.ID)
	}
	return ids, nil
}

func newNICs(bodies []openapi.InterfaceRequest) ([]gabion.NIC, error) {
	var nics []gabion.NIC
	for i, body := range bodies {
		nic, err := newNIC(body)
		if err != nil {
			return nil, within(fmt.Sprintf("interfaces[%d]", i), err)
		}
		nics = append(nics, nic)
	}
	return nics, nil
}

func newNIC(body openapi.InterfaceRequest) (gabion.NIC, error) {
	nic := gabion.NIC{Interface: body.Name, Managed: body.Managed}
	var err error
	if nic.MAC, err = gabion.ParseMAC("mac", body.MAC); err != nil {
		return nic, err
	}
	for i, text := range body.IPv4 {
		addr, err := newAddress(fmt.Sprintf("ipv4[%d]", i), text, "an IPv4", "10.0.0.7", netip.Addr.Is4)
		if err != nil {
			return nic, err
		}
		nic.Addresses = append(nic.Addresses, addr)
	}
	for i, text := range body.IPv6 {
		addr, err := newAddress(fmt.Sprintf("ipv6[%d]", i), text, "an IPv6", "2001:db8::7", netip.Addr.Is6)
		if err != nil {
			return nic, err
		}
		nic.Addresses = append(nic.Addresses, addr)
	}
	return nic, nil
}

func newAddress(field, text, family, example string, is func(netip.Addr) bool) (netip.Addr, error) {
	addr, err := netip.ParseAddr(text)
	if err != nil || !is(addr) {
		return netip.Addr{}, gabion.Invalid(field, "%q is not %s address; write one like %s, without a prefix length", text, family, example)
	}
	return addr, nil
}

// instanceBodies are the instances with what is said of them elsewhere: states
// and the names of their groups. It is for all instances: it reads all of that.
func (a *api) instanceBodies(ctx context.Context, org string, instances []gabion.Instance) ([]openapi.Instance, error) {
	states, err := a.Store.States(ctx, org)
	if err != nil {
		return nil, err
	}
	groups, err := a.Store.Groups(ctx, org)
	if err != nil {
		return nil, err
	}
	n, bodies := namesOf(groups), make([]openapi.Instance, len(instances))
	for k := range instances {
		bodies[k] = instanceBody(&instances[k], states, n)
	}
	return bodies, nil
}

// pageBodies is instanceBodies for some instances. States are read from the store:
// hosts report them beside all changes, and who was told of a change's success is to
// find them.
func (a *api) pageBodies(ctx context.Context, org string, instances []*gabion.Instance) ([]openapi.Instance, error) {
	ids, groups := make([]string, len(instances)), []string(nil)
	for k, i := range instances {
		ids[k] = i.ID
		groups = append(groups, i.Groups...)
	}
	states, err := a.Store.StatesOf(ctx, org, ids)
	if err != nil {
		return nil, err
	}
	n, err := lookUp(ctx, a, org, func(w *policy.World) names { return groupNames(w, org, groups...) })
	if err != nil {
		return nil, err
	}
	bodies := make([]openapi.Instance, len(instances))
	for k, i := range instances {
		bodies[k] = instanceBody(i, states, n)
	}
	return bodies, nil
}

func instanceBody(i *gabion.Instance, states map[string]gabion.InstanceState, n names) openapi.Instance {
	state, known := states[i.ID]
	if !known {
		state = i.PresumedState()
	}
	body := openapi.Instance{
		ID: i.ID, Name: i.Name, Host: i.Host, CreatedAt: i.Created,
		State:          openapi.InstanceState(state),
		SecurityGroups: n.references(i.Groups),
		Labels:         i.Labels,
		DiskSize:       diskSize,
		InstanceType:   instanceType,
		Template:       template,
		Interfaces:     make([]openapi.Interface, len(i.NICs)),
	}
	if body.Labels == nil {
		body.Labels = openapi.Labels{}
	}
	for k, nic := range i.NICs {
		body.Interfaces[k] = interfaceBody(nic)
	}
	if len(i.NICs) > 0 {
		body.MACAddress = i.NICs[0].MAC.String()
	}
	body.PublicIP = first(body.Interfaces, func(b openapi.Interface) []string { return b.IPv4 })
	body.IPv6Address = first(body.Interfaces, func(b openapi.Interface) []string { return b.IPv6 })
	return body
}

func interfaceBody(nic gabion.NIC) openapi.Interface {
	body := openapi.Interface{
		Name: nic.Interface, MAC: nic.MAC.String(), Managed: nic.Managed, IPv4: []string{}, IPv6: []string{},
	}
	for _, addr := range nic.Addresses {
		if addr.Is4() {
			body.IPv4 = append(body.IPv4, addr.String())
		} else {
			body.IPv6 = append(body.IPv6, addr.String())
		}
	}
	return body
}

// first is the first address of one family; empty if there is none.
func first(interfaces []openapi.Interface, of func(openapi.Interface) []string) string {
	for _, b := range interfaces {
		if addresses := of(b); len(addresses) > 0 {
			return addresses[0]
		}
	}
	return ""
}
