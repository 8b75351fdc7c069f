package lab

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"

	"github.com/gabion/gabion"
)

// Host is a hypervisor of the lab: a namespace with a bridge that guests and the
// underlay are ports of.
type Host struct {
	Name string

	lab       *Lab
	namespace *Namespace
	bridge    netlink.Link
}

// AddHost builds a host. Its name is short: it is part of link names.
func (l *Lab) AddHost(name string) (*Host, error) {
	ns, err := l.namespace(name)
	if err != nil {
		return nil, fmt.Errorf("add host %s: %w", name, err)
	}
	h := &Host{Name: name, lab: l, namespace: ns}
	l.hosts = append(l.hosts, h)
	for _, build := range []func() error{h.buildBridge, h.joinManagement} {
		if err := build(); err != nil {
			return nil, fmt.Errorf("add host %s: %w", name, err)
		}
	}
	return h, nil
}

// Namespace is the host's network namespace, in which its agent runs.
func (h *Host) Namespace() *Namespace { return h.namespace }

// buildBridge makes the bridge and its uplink. A hypervisor's bridge has no
// addresses of its own in the guests' network.
func (h *Host) buildBridge() (err error) {
	if err := h.namespace.setSysctl("net/ipv6/conf/default/disable_ipv6", "1"); err != nil {
		return err
	}
	number := byte(len(h.lab.hosts))
	if h.bridge, err = addBridge(h.namespace.links, bridgeName, gabion.MAC{0x02, 0x77, 2, 0, 0, number}); err != nil {
		return err
	}
	c := cable{from: h.lab.fabric, fromName: h.Name, to: h.namespace, toName: "uplink0"}
	fabric, host, err := c.lay()
	if err != nil {
		return err
	}
	return errors.Join(
		enslave(h.lab.fabric.links, fabric, h.lab.bridge),
		enslave(h.namespace.links, host, h.bridge),
		awaitUp(h.lab.fabric, bridgeName),
	)
}

// Flood makes the bridge forget where addresses are, so that every frame goes to
// every port.
func (h *Host) Flood() error {
	never := uint32(0)
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.Index = bridgeName, h.bridge.Attrs().Index
	if err := h.namespace.links.LinkModify(&netlink.Bridge{LinkAttrs: attrs, AgeingTime: &never}); err != nil {
		return fmt.Errorf("make bridge of %s flood: %w", h.Name, err)
	}
	return nil
}

func (h *Host) joinManagement() error {
	home := h.lab.home
	bridge, err := home.links.LinkByName(h.lab.Name("mgmt"))
	if err != nil {
		return fmt.Errorf("find management bridge: %w", err)
	}
	outer, inner, err := cable{from: home, fromName: h.lab.Name(h.Name), to: h.namespace, toName: "mgmt0"}.lay()
	if err != nil {
		return err
	}
	if err := enslave(home.links, outer, bridge); err != nil {
		return err
	}
	if err := awaitUp(home, bridge.Attrs().Name); err != nil {
		return err
	}
	number := byte(routerNumber + len(h.lab.hosts))
	return addAddresses(h.namespace, inner, numbered(h.lab.managementNetwork(), number))
}

// Enslave makes an interface that somebody else created in the host's namespace,
// such as a machine's tap, a port of the bridge, and sets it up.
func (h *Host) Enslave(name string) error {
	link, err := upLink(h.namespace.links, name)
	if err != nil {
		return err
	}
	return enslave(h.namespace.links, link, h.bridge)
}
