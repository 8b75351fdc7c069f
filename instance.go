package gabion

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// MAC is an Ethernet address in wire order.
type MAC [6]byte

// ParseMAC reads a unicast Ethernet address such as 52:54:00:12:34:56.
func ParseMAC(field, s string) (MAC, error) {
	hw, err := net.ParseMAC(s)
	if err != nil || len(hw) != 6 {
		return MAC{}, Invalid(field, "%q is not an Ethernet address; write one like 52:54:00:12:34:56", s)
	}
	mac := MAC(hw)
	if mac[0]&1 != 0 || mac == (MAC{}) {
		return MAC{}, Invalid(field, "%s is not a unicast address; clear the lowest bit of its first byte", s)
	}
	return mac, nil
}

func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// LinkLocal is the IPv6 link-local address that EUI-64 makes of the MAC.
func (m MAC) LinkLocal() netip.Addr {
	return netip.AddrFrom16([16]byte{0xfe, 0x80, 8: m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]})
}

// Limits of an instance.
const (
	MaxGroupsPerInstance = 16
	MaxNICsPerInstance   = 8
	MaxAddressesPerNIC   = 8 // of each family; the datapath holds them inline
	MaxInterfaceName     = 15
	MaxLabels            = 64 // keys are limited like names, values like descriptions
)

// InstanceState is what is known of a machine, in the public API's words.
type InstanceState string

// The states that Gabion gives. An instance with a host is what its host sees:
// running while one of its interfaces is there and up.
const (
	Running InstanceState = "running"
	Stopped InstanceState = "stopped"
)

// Instance is a machine whose traffic is filtered.
type Instance struct {
	ID           string
	Organization string
	Name         string
	Host         string   // name of its hypervisor; empty if it has none
	Groups       []string // ids; at least one, at most MaxGroupsPerInstance, distinct
	NICs         []NIC
	Labels       map[string]string
	Protected    bool // from deletion
	Created      time.Time
}

// PresumedState is the state of an instance that nobody has said anything of. One
// with a host may be running, for all anybody knows, and so it counts as that:
// what may happen only to a stopped instance has to wait until its host has looked.
func (i *Instance) PresumedState() InstanceState {
	if i.Host != "" {
		return Running
	}
	return Stopped
}

// NIC is one network interface of an instance.
type NIC struct {
	Interface string // the host's name of it, such as a tap; at most 15 bytes
	MAC       MAC
	Addresses []netip.Addr // IPv4 and IPv6, at most MaxAddressesPerNIC of each
	Managed   bool         // the agent creates and removes the interface
}

// Validate reports the first thing that keeps the instance from being stored.
// An instance without groups is valid: the store gives it the primary group.
func (i *Instance) Validate() error {
	if err := ValidateName("name", i.Name); err != nil {
		return err
	}
	if err := i.validateGroups(); err != nil {
		return err
	}
	if i.Host != "" {
		if err := ValidateHostName("host", i.Host); err != nil {
			return err
		}
	}
	if err := i.validateLabels(); err != nil {
		return err
	}
	return i.validateNICs()
}

func (i *Instance) validateLabels() error {
	if n := len(i.Labels); n > MaxLabels {
		return Invalid("labels", "has %d entries; give at most %d", n, MaxLabels)
	}
	for _, key := range slices.Sorted(maps.Keys(i.Labels)) {
		if err := ValidateName("labels", key); err != nil {
			return err
		}
		if err := ValidateDescription("labels."+key, i.Labels[key]); err != nil {
			return err
		}
	}
	return nil
}

func (i *Instance) validateGroups() error {
	if n := len(i.Groups); n > MaxGroupsPerInstance {
		return Invalid("security-groups", "has %d groups; give at most %d", n, MaxGroupsPerInstance)
	}
	seen := map[string]bool{}
	for _, id := range i.Groups {
		if seen[id] {
			return Invalid("security-groups", "names %s twice; name it once", id)
		}
		seen[id] = true
	}
	return nil
}

func (i *Instance) validateNICs() error {
	switch n := len(i.NICs); {
	case n == 0:
		return nil
	case i.Host == "":
		return Invalid("host", "is missing; name the host that has the interfaces")
	case n > MaxNICsPerInstance:
		return Invalid("interfaces", "has %d entries; give at most %d", n, MaxNICsPerInstance)
	}
	seen := map[any]bool{}
	for n := range i.NICs {
		nic, field := &i.NICs[n], fmt.Sprintf("interfaces[%d]", n)
		if err := nic.validate(field); err != nil {
			return err
		}
		for _, own := range nic.identities() {
			if seen[own] {
				return Invalid(field, "%v is named twice; give each interface, MAC and address once", own)
			}
			seen[own] = true
		}
	}
	return nil
}

// identities are what no two NICs share.
func (n *NIC) identities() []any {
	all := []any{n.Interface, n.MAC}
	for _, a := range n.Addresses {
		all = append(all, a)
	}
	return all
}

func (n *NIC) validate(field string) error {
	if err := validateInterface(field+".name", n.Interface); err != nil {
		return err
	}
	if _, err := ParseMAC(field+".mac", n.MAC.String()); err != nil {
		return err
	}
	count := map[bool]int{}
	for _, a := range n.Addresses {
		if err := validateOwnAddress(field, a); err != nil {
			return err
		}
		count[a.Is4()]++
	}
	if most := max(count[true], count[false]); most > MaxAddressesPerNIC {
		return Invalid(field, "has %d addresses of one family; give at most %d", most, MaxAddressesPerNIC)
	}
	return nil
}

// validateInterface holds the kernel's own rule for names of interfaces.
func validateInterface(field, name string) error {
	if n := len(name); n == 0 || n > MaxInterfaceName {
		return Invalid(field, "%q has %d bytes; give 1 to %d", name, n, MaxInterfaceName)
	}
	if name == "." || name == ".." || strings.ContainsAny(name, "/: \t\v\f") {
		return Invalid(field, "%q is not a name for an interface; leave out slashes, colons and spaces", name)
	}
	return validateText(field, name)
}

// validateOwnAddress refuses what no machine can have as its own.
func validateOwnAddress(field string, a netip.Addr) error {
	if a.Is4() {
		field += ".ipv4"
	} else {
		field += ".ipv6"
	}
	switch {
	case !a.IsValid():
		return Invalid(field, "is not an address; write one like 192.0.2.10 or 2001:db8::10")
	case a.Zone() != "":
		return Invalid(field, "%s has a zone; write %s", a, a.WithZone(""))
	case a.Is4In6():
		return Invalid(field, "%s is IPv4 written as IPv6; write %s", a, a.Unmap())
	case a.IsUnspecified(), a.IsLoopback(), a.IsMulticast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return Invalid(field, "%s can't be a machine's own; give a unicast address", a)
	}
	return nil
}
