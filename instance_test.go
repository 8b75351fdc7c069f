package gabion_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/gabion/gabion"
)

func TestInstanceValidate(t *testing.T) {
	addrs := func(list ...string) (all []netip.Addr) {
		for _, s := range list {
			all = append(all, netip.MustParseAddr(s))
		}
		return all
	}
	nic := func(name, mac string, list ...string) gabion.NIC {
		hw, _ := gabion.ParseMAC("mac", mac)
		return gabion.NIC{Interface: name, MAC: hw, Addresses: addrs(list...)}
	}
	const mac = "52:54:00:00:00:01"
	on := func(host string, nics ...gabion.NIC) gabion.Instance {
		return gabion.Instance{Name: "a", Host: host, NICs: nics}
	}
	tests := []struct {
		name     string
		instance gabion.Instance
		field    string // "" if valid
	}{
		{"without anything", gabion.Instance{Name: "a"}, ""},
		{"with two families", on("h", nic("tap0", mac, "10.0.0.1", "2001:db8::1")), ""},
		{"without a name", gabion.Instance{}, "name"},
		{"with a group twice", gabion.Instance{Name: "a", Groups: []string{"g", "g"}}, "security-groups"},
		{"with 17 groups", gabion.Instance{Name: "a", Groups: strings.Split("abcdefghijklmnopq", "")}, "security-groups"},
		{"with a NIC but no host", on("", nic("tap0", mac)), "host"},
		{"on a host with a slash", on("h/x", nic("tap0", mac)), "host"},
		{"with a long interface", on("h", nic("tap0123456789abc", mac)), "interfaces[0].name"},
		{"with an interface like a path", on("h", nic("../tap0", mac)), "interfaces[0].name"},
		{"with a group MAC", on("h", nic("tap0", "01:00:5e:00:00:01")), "interfaces[0].mac"},
		{"with a MAC twice", on("h", nic("tap0", mac), nic("tap1", mac)), "interfaces[1]"},
		{"with an address twice", on("h", nic("tap0", mac, "10.0.0.1", "10.0.0.1")), "interfaces[0]"},
		{"with a mapped address", on("h", nic("tap0", mac, "::ffff:10.0.0.1")), "interfaces[0].ipv6"},
		{"with a zone", on("h", nic("tap0", mac, "fe80::1%eth0")), "interfaces[0].ipv6"},
		{"with multicast", on("h", nic("tap0", mac, "224.0.0.1")), "interfaces[0].ipv4"},
		{"with too many addresses", on("h", nic("tap0", mac, "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4",
			"10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.8", "10.0.0.9")), "interfaces[0]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.instance.Validate()
			field := ""
			var refused *gabion.Error
			if errors.As(err, &refused) {
				field = refused.Field
			}
			if (err == nil) != (tt.field == "") || field != tt.field {
				t.Errorf("got %v, want a refusal of %q", err, tt.field)
			}
		})
	}
}
