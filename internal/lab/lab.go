package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"

	"github.com/gabion/gabion"
)

// Addresses of the lab. Guests share one segment; the fabric is its router.
var (
	guestNetwork4 = netip.MustParsePrefix("10.77.0.0/24")
	guestNetwork6 = netip.MustParsePrefix("fd77::/64")

	// The outside client's addresses are those that are kept for documentation.
	outsideNetwork4 = netip.MustParsePrefix("203.0.113.0/24")
	outsideNetwork6 = netip.MustParsePrefix("2001:db8:77::/64")
)

// hostNumber within a network: the router's is 1.
const (
	routerNumber  = 1
	outsideNumber = 10
	firstGuest    = 11
)

// Names inside the lab's namespaces.
const (
	bridgeName  = "br0"
	machineLink = "eth0" // of guests and of the outside client
)

// Lab is a running lab. Its methods are for one goroutine, those of its
// endpoints and processes for any.
type Lab struct {
	Outside *Endpoint // a client on the other side of the router

	run       *run
	home      *Namespace // where the lab is built from: the server's
	fabric    *Namespace
	bridge    netlink.Link // of the fabric
	hosts     []*Host
	guests    []*Guest
	taps      []*Tap
	closing   sync.Once
	closed    error
	processes []*Process
}

// New builds a lab without hosts, after it has removed what crashed runs left behind.
func New() (*Lab, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("build lab: network namespaces need root; run it with sudo")
	}
	run, err := claimRun()
	if err != nil {
		return nil, err
	}
	l := &Lab{run: run}
	for _, build := range []func() error{l.buildManagement, l.buildFabric, l.buildOutside} {
		if err := build(); err != nil {
			return nil, errors.Join(fmt.Errorf("build lab: %w", err), l.Close())
		}
	}
	return l, nil
}

// Dir is a directory for files of this run. It goes with the lab.
func (l *Lab) Dir() string { return l.run.dir }

// Name is the name that something called so has outside the lab: unique on this machine.
func (l *Lab) Name(of string) string { return l.run.name(of) }

// Hosts are the hosts, in the order they were added.
func (l *Lab) Hosts() []*Host { return slices.Clone(l.hosts) }

// Guests are the guests of all hosts, in the order they were added.
func (l *Lab) Guests() []*Guest { return slices.Clone(l.guests) }

// Endpoints are the outside client and all guests.
func (l *Lab) Endpoints() []*Endpoint {
	all := []*Endpoint{l.Outside}
	for _, g := range l.guests {
		all = append(all, g.Endpoint)
	}
	return all
}

// Close ends the run's processes and removes everything the lab made.
func (l *Lab) Close() error {
	l.closing.Do(func() { l.closed = l.close() })
	return l.closed
}

func (l *Lab) close() error {
	var err error
	for _, p := range slices.Backward(l.processes) {
		err = errors.Join(err, p.Stop())
	}
	for _, t := range l.taps {
		err = errors.Join(err, t.Close())
	}
	for _, e := range l.Endpoints() {
		err = errors.Join(err, e.close())
	}
	for _, h := range l.hosts {
		err = errors.Join(err, h.namespace.close())
	}
	for _, ns := range []*Namespace{l.fabric, l.home} {
		if ns != nil {
			err = errors.Join(err, ns.close())
		}
	}
	return errors.Join(err, l.run.end())
}

// namespace makes a namespace of the run, in which nothing speaks by itself.
func (l *Lab) namespace(name string) (*Namespace, error) {
	ns, err := createNamespace(l.Name(name))
	if err != nil {
		return nil, err
	}
	if err := quiet(ns); err != nil {
		return nil, errors.Join(err, ns.close())
	}
	return ns, nil
}

// quiet keeps the namespace's interfaces from detecting duplicates, which makes
// addresses wait, and from asking for and following routers.
func quiet(ns *Namespace) error {
	settings := map[string]string{}
	for _, scope := range []string{"all", "default"} {
		settings["net/ipv6/conf/"+scope+"/accept_dad"] = "0"
		settings["net/ipv6/conf/"+scope+"/accept_ra"] = "0"
	}
	if err := ns.setSysctls(settings); err != nil {
		return err
	}
	_, err := upLink(ns.links, "lo")
	return err
}

// buildFabric makes the underlay: a bridge that joins the hosts', and a router.
func (l *Lab) buildFabric() (err error) {
	if l.fabric, err = l.namespace("fabric"); err != nil {
		return err
	}
	err = l.fabric.setSysctls(map[string]string{
		"net/ipv4/ip_forward":              "1",
		"net/ipv4/conf/all/send_redirects": "0",
		"net/ipv6/conf/all/forwarding":     "1",
	})
	if err != nil {
		return err
	}
	if l.bridge, err = addBridge(l.fabric.links, bridgeName, macOf(routerNumber)); err != nil {
		return err
	}
	return addAddresses(l.fabric, l.bridge, numbered(guestNetwork4, routerNumber), numbered(guestNetwork6, routerNumber))
}

func (l *Lab) buildOutside() error {
	ns, err := l.namespace("outside")
	if err != nil {
		return err
	}
	l.Outside = newEndpoint("outside", ns, numbered(outsideNetwork4, outsideNumber), numbered(outsideNetwork6, outsideNumber))
	c := cable{from: l.fabric, fromName: "outside", to: ns, toName: machineLink, toMAC: l.Outside.MAC}
	router, link, err := c.lay()
	if err != nil {
		return err
	}
	gateways := []netip.Prefix{numbered(outsideNetwork4, routerNumber), numbered(outsideNetwork6, routerNumber)}
	if err := addAddresses(l.fabric, router, gateways...); err != nil {
		return err
	}
	return l.Outside.configure(link, gateways[0].Addr(), gateways[1].Addr())
}

// managementNetwork joins the server, in the namespace of whoever builds the lab,
// with the agents. The addresses are kept for benchmarks, one network per run.
func (l *Lab) managementNetwork() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(l.run.number), 0}), 24)
}

// ManagementAddress is where agents reach a server outside the lab.
func (l *Lab) ManagementAddress() netip.Addr {
	return numbered(l.managementNetwork(), routerNumber).Addr()
}

func (l *Lab) buildManagement() (err error) {
	if l.home, err = currentNamespace(); err != nil {
		return err
	}
	bridge, err := addBridge(l.home.links, l.Name("mgmt"), gabion.MAC{0x02, 0x77, 1, 0, byte(l.run.number), routerNumber})
	if err != nil {
		return err
	}
	return addAddresses(l.home, bridge, numbered(l.managementNetwork(), routerNumber))
}

// nextNumber is the number of the next machine in the guests' network.
func (l *Lab) nextNumber() byte { return byte(firstGuest + len(l.guests) + len(l.taps)) }

// numbered is the n-th address of the network, with the network's length.
func numbered(network netip.Prefix, n byte) netip.Prefix {
	raw := network.Addr().AsSlice()
	raw[len(raw)-1] = n
	addr, _ := netip.AddrFromSlice(raw)
	return netip.PrefixFrom(addr, network.Bits())
}

// macOf is a locally administered address.
func macOf(n byte) gabion.MAC { return gabion.MAC{0x02, 0x77, 0, 0, 0, n} }
