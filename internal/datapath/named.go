package datapath

import (
	"fmt"
	"net/netip"
)

// Kinds and flags of bpf/abi.h: who is named, and that any is.
const (
	namedDHCPServer = 1 // NAMED_DHCP_SERVER
	namedRouter     = 2 // NAMED_ROUTER
	hasDHCPServers  = 1 // CONFIG_HAS_DHCP_SERVERS
	hasRouters      = 2 // CONFIG_HAS_ROUTERS
)

// nameServers restricts who may answer instances' DHCP requests and advertise
// itself as their router. A kind is restricted as long as any of it is named.
func (k *kernel) nameServers(servers, routers []netip.Addr) error {
	var flags uint32
	desired := map[bpfNamedKey]uint8{}
	for _, a := range servers {
		flags |= hasDHCPServers
		desired[bpfNamedKey{Kind: namedDHCPServer, Address: addressOf(a)}] = 1
	}
	for _, a := range routers {
		flags |= hasRouters
		desired[bpfNamedKey{Kind: namedRouter, Address: addressOf(a)}] = 1
	}
	actual, err := readAll[bpfNamedKey, uint8](k.maps.Named)
	if err != nil {
		return err
	}
	d := diff(actual, desired)
	if err := putBatch(k.maps.Named, d.put); err != nil {
		return err
	}
	if err := k.maps.Config.Put(uint32(0), &bpfConfig{Flags: flags}); err != nil {
		return fmt.Errorf("put flags of configuration: %w", err)
	}
	return removeBatch(k.maps.Named, d.remove)
}
