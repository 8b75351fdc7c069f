package gabion

import (
	"net"
	"net/netip"
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
	Created      time.Time
}

// NIC is one network interface of an instance.
type NIC struct {
	Interface string // the host's name of it, such as a tap; at most 15 bytes
	MAC       MAC
	Addresses []netip.Addr // IPv4 and IPv6, at most MaxAddressesPerNIC of each
	Managed   bool         // the agent creates and removes the interface
}
