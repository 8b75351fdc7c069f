package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/gabion/gabion"
)

// addBridge makes a bridge that forwards from its first moment: no spanning tree,
// and no multicast snooping, which would keep neighbour solicitations from ports
// whose reports it has not seen.
func addBridge(links *netlink.Handle, name string, mac gabion.MAC) (netlink.Link, error) {
	snooping := false
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	attrs.HardwareAddr = mac[:]
	bridge := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}
	if err := links.LinkAdd(bridge); err != nil {
		return nil, fmt.Errorf("add bridge %s: %w", name, err)
	}
	return upLink(links, name)
}

// cable is a veth pair between two namespaces.
type cable struct {
	from     *Namespace
	fromName string
	to       *Namespace
	toName   string
	toMAC    gabion.MAC // zero lets the kernel choose
	index    int        // of the end in from; zero lets the kernel choose
}

// lay makes the pair, sets both ends up and waits until they are.
func (c cable) lay() (from, to netlink.Link, err error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.Index = c.fromName, c.index
	veth := netlink.NewVeth(attrs)
	veth.PeerName = c.toName
	veth.PeerNamespace = netlink.NsFd(c.to.file.Fd())
	if c.toMAC != (gabion.MAC{}) {
		veth.PeerHardwareAddr = c.toMAC[:]
	}
	if err := c.from.links.LinkAdd(veth); err != nil {
		return nil, nil, fmt.Errorf("add veth %s to %s in %s: %w", c.fromName, c.toName, c.to.Name, err)
	}
	if to, err = upLink(c.to.links, c.toName); err != nil {
		return nil, nil, err
	}
	if from, err = upLink(c.from.links, c.fromName); err != nil {
		return nil, nil, err
	}
	return from, to, errors.Join(awaitUp(c.from, c.fromName), awaitUp(c.to, c.toName))
}

func upLink(links *netlink.Handle, name string) (netlink.Link, error) {
	link, err := links.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("find link %s: %w", name, err)
	}
	if err := links.LinkSetUp(link); err != nil {
		return nil, fmt.Errorf("set link %s up: %w", name, err)
	}
	return link, nil
}

// enslave makes link a port of the bridge.
func enslave(links *netlink.Handle, link, bridge netlink.Link) error {
	if err := links.LinkSetMaster(link, bridge); err != nil {
		return fmt.Errorf("add %s to bridge %s: %w", link.Attrs().Name, bridge.Attrs().Name, err)
	}
	return nil
}

// addAddresses gives a link its addresses and waits until they can be used.
func addAddresses(ns *Namespace, link netlink.Link, prefixes ...netip.Prefix) error {
	for _, p := range prefixes {
		if err := ns.links.AddrAdd(link, &netlink.Addr{IPNet: ipNet(p)}); err != nil {
			return fmt.Errorf("add %s to %s: %w", p, link.Attrs().Name, err)
		}
	}
	for _, p := range prefixes {
		if err := awaitAddress(ns, p.Addr()); err != nil {
			return err
		}
	}
	return nil
}

// addDefaultRoutes sends what is not on link through the gateways.
func addDefaultRoutes(links *netlink.Handle, link netlink.Link, gateways ...netip.Addr) error {
	for _, gw := range gateways {
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: gw.AsSlice()}
		if err := links.RouteAdd(route); err != nil {
			return fmt.Errorf("route through %s: %w", gw, err)
		}
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// list asks the kernel for a list until no change came in between.
func list[T any](ask func() ([]T, error)) ([]T, error) {
	for {
		all, err := ask()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
	}
}
