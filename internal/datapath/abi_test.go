package datapath

import (
	"os"
	"regexp"
	"strconv"
	"testing"
)

// TestConstantsAreThoseOfTheABI holds what bpf2go can't generate: macros.
func TestConstantsAreThoseOfTheABI(t *testing.T) {
	header, err := os.ReadFile("bpf/abi.h")
	if err != nil {
		t.Fatal(err)
	}
	defined := map[string]uint64{}
	for _, m := range regexp.MustCompile(`(?m)^#define (\w+)\s+(0x[0-9a-f]+|\d+)`).FindAllStringSubmatch(string(header), -1) {
		if defined[m[1]], err = strconv.ParseUint(m[2], 0, 64); err != nil {
			t.Fatal(err)
		}
	}
	for name, ours := range map[string]uint64{
		"ABI_VERSION":              abiVersion,
		"ADDRESSES_PER_FAMILY":     addressesPerFamily,
		"CONFIG_HAS_DHCP_SERVERS":  hasDHCPServers,
		"CONFIG_HAS_ROUTERS":       hasRouters,
		"FLOW_ACK":                 flowACK,
		"FLOW_EGRESS":              flowEgress,
		"FLOW_END":                 flowEnd,
		"FLOW_FIN":                 flowFIN,
		"GROUPS_PER_REMOTE":        groupsPerRemote,
		"NAMED_DHCP_SERVER":        namedDHCPServer,
		"NAMED_ROUTER":             namedRouter,
		"PEER_CLASS":               PeerClass,
		"POLICY_SET_EGRESS_CLOSED": EgressClosed,
		"REASON_SLOTS":             reasonSlots,
	} {
		if theirs, ok := defined[name]; !ok || theirs != ours {
			t.Errorf("%s is %d here and %d in bpf/abi.h", name, ours, theirs)
		}
	}
}
