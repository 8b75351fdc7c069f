package lab

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gabion/gabion"
)

// Endpoint is a machine with a network stack of its own: a guest, or the client outside.
type Endpoint struct {
	Name      string
	MAC       gabion.MAC
	Addr4     netip.Addr
	Addr6     netip.Addr
	prefixes  []netip.Prefix
	namespace *Namespace
	index     int // of its link
	services  []service
}

func newEndpoint(name string, ns *Namespace, prefix4, prefix6 netip.Prefix) *Endpoint {
	number := prefix4.Addr().As4()[3]
	return &Endpoint{
		Name: name, MAC: macOf(number),
		Addr4: prefix4.Addr(), Addr6: prefix6.Addr(), prefixes: []netip.Prefix{prefix4, prefix6},
		namespace: ns,
	}
}

// Addresses are the endpoint's, IPv4 first.
func (e *Endpoint) Addresses() []netip.Addr { return []netip.Addr{e.Addr4, e.Addr6} }

// Namespace is the endpoint's network namespace.
func (e *Endpoint) Namespace() *Namespace { return e.namespace }

// configure gives the machine its addresses and its way out, and lets everybody
// in it ping.
func (e *Endpoint) configure(link netlink.Link, gateways ...netip.Addr) error {
	e.index = link.Attrs().Index
	return errors.Join(
		e.namespace.setSysctl("net/ipv4/ping_group_range", "0 2147483647"),
		addAddresses(e.namespace, link, e.prefixes...),
		addDefaultRoutes(e.namespace.links, link, gateways...),
	)
}

// ForgetNeighbours empties the machine's ARP and neighbour caches.
func (e *Endpoint) ForgetNeighbours() error {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		neighbours, err := list(func() ([]netlink.Neigh, error) { return e.namespace.links.NeighList(e.index, family) })
		if err != nil {
			return fmt.Errorf("list neighbours of %s: %w", e.Name, err)
		}
		for _, n := range neighbours {
			if n.State&netlink.NUD_NOARP != 0 {
				continue // multicast and the like: worked out, not learned
			}
			if err := e.namespace.links.NeighDel(&n); err != nil && !errors.Is(err, unix.ENOENT) {
				return fmt.Errorf("forget neighbour %s of %s: %w", n.IP, e.Name, err)
			}
		}
	}
	return nil
}

func (e *Endpoint) close() error {
	if e == nil {
		return nil // the lab was not built so far
	}
	var err error
	for _, s := range e.services {
		err = errors.Join(err, s.Close())
	}
	return errors.Join(err, e.namespace.close())
}

// Guest is a machine on a host. Its link's host end is the interface that Gabion filters.
type Guest struct {
	*Endpoint
	Host      *Host
	Interface string // the host end's name
}

// AddGuest builds a guest and plugs it into the host's bridge. Its name is short:
// it is part of a link name.
func (h *Host) AddGuest(name string) (*Guest, error) {
	ns, err := h.lab.namespace(name)
	if err != nil {
		return nil, fmt.Errorf("add guest %s: %w", name, err)
	}
	number := h.lab.nextNumber()
	g := &Guest{
		Endpoint:  newEndpoint(name, ns, numbered(guestNetwork4, number), numbered(guestNetwork6, number)),
		Host:      h,
		Interface: "tap-" + name,
	}
	h.lab.guests = append(h.lab.guests, g)
	if err := g.Plug(); err != nil {
		return nil, fmt.Errorf("add guest %s: %w", name, err)
	}
	return g, nil
}

// Plug makes the guest's link and its host end a port of the bridge, as a
// hypervisor does when the machine starts.
func (g *Guest) Plug() error { return g.PlugAt(0) }

// PlugAt is Plug with the number of an interface that is gone; 0 lets the kernel choose.
func (g *Guest) PlugAt(index int) error {
	c := cable{from: g.Host.namespace, fromName: g.Interface, to: g.namespace, toName: machineLink, toMAC: g.MAC, index: index}
	tap, link, err := c.lay()
	if err != nil {
		return err
	}
	if err := enslave(g.Host.namespace.links, tap, g.Host.bridge); err != nil {
		return err
	}
	return g.configure(link, numbered(guestNetwork4, routerNumber).Addr(), numbered(guestNetwork6, routerNumber).Addr())
}

// Index is the number of the host end.
func (g *Guest) Index() (int, error) {
	tap, err := g.Host.namespace.links.LinkByName(g.Interface)
	if err != nil {
		return 0, fmt.Errorf("find %s: %w", g.Interface, err)
	}
	return tap.Attrs().Index, nil
}

// Unplug removes the guest's link, as a hypervisor does when the machine stops.
func (g *Guest) Unplug() error {
	tap, err := g.Host.namespace.links.LinkByName(g.Interface)
	if err != nil {
		return fmt.Errorf("find %s: %w", g.Interface, err)
	}
	if err := g.Host.namespace.links.LinkDel(tap); err != nil {
		return fmt.Errorf("unplug %s: %w", g.Name, err)
	}
	return nil
}

// Rename gives the host end another name, as an administrator of the host may. Not
// every kernel does that to a link that is up.
func (g *Guest) Rename(name string) error {
	tap, err := g.Host.namespace.links.LinkByName(g.Interface)
	if err != nil {
		return fmt.Errorf("find %s: %w", g.Interface, err)
	}
	if err := g.SetUp(false); err != nil {
		return err
	}
	if err := g.Host.namespace.links.LinkSetName(tap, name); err != nil {
		return fmt.Errorf("rename %s to %s: %w", g.Interface, name, err)
	}
	g.Interface = name
	return g.SetUp(true)
}

// SetUp raises or lowers the host end, as if the machine had been switched on or
// off. It returns when frames pass, or don't.
func (g *Guest) SetUp(up bool) error {
	tap, err := g.Host.namespace.links.LinkByName(g.Interface)
	if err != nil {
		return fmt.Errorf("find %s: %w", g.Interface, err)
	}
	set := g.Host.namespace.links.LinkSetDown
	if up {
		set = g.Host.namespace.links.LinkSetUp
	}
	if err := set(tap); err != nil {
		return fmt.Errorf("set %s up=%t: %w", g.Interface, up, err)
	}
	if !up {
		return nil
	}
	return errors.Join(awaitUp(g.Host.namespace, g.Interface), awaitUp(g.namespace, machineLink))
}
