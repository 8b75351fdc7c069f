package hypervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// br_netfilter lets the host's own packet filter see bridged frames, between our
// two hooks: it costs much, trims padding and drops what it does not know. A
// bridge is spared only if both its own switches and those of its network
// namespace are off.

// netfilterDir holds the switches of the network namespace; it is not there
// without br_netfilter.
const netfilterDir = "/proc/sys/net/bridge"

var netfilterSwitches = []string{"bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables"}

// NetfilterSwitches are the switches of the network namespace that are on.
func (h *Hypervisor) NetfilterSwitches() ([]string, error) {
	var on []string
	for _, name := range netfilterSwitches {
		value, err := os.ReadFile(filepath.Join(netfilterDir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read switch of br_netfilter: %w", err)
		}
		if strings.TrimSpace(string(value)) != "0" {
			on = append(on, name)
		}
	}
	return on, nil
}

// TurnOff turns switches of the network namespace off, for all its bridges.
func (h *Hypervisor) TurnOff(switches []string) error {
	for _, name := range switches {
		if err := os.WriteFile(filepath.Join(netfilterDir, name), []byte("0"), 0); err != nil {
			return fmt.Errorf("turn off br_netfilter: %w", err)
		}
	}
	return nil
}

// SpareBridge turns the bridge's own switches off.
func (h *Hypervisor) SpareBridge(index int) error {
	message := nl.NewIfInfomsg(unix.AF_UNSPEC)
	message.Index = int32(index)
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("bridge"))
	data := info.AddRtAttr(nl.IFLA_INFO_DATA, nil)
	for _, attribute := range []int{nl.IFLA_BR_NF_CALL_IPTABLES, nl.IFLA_BR_NF_CALL_IP6TABLES, nl.IFLA_BR_NF_CALL_ARPTABLES} {
		data.AddRtAttr(attribute, nl.Uint8Attr(0))
	}
	request := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK)
	request.AddData(message)
	request.AddData(info)
	if _, err := request.Execute(unix.NETLINK_ROUTE, 0); err != nil {
		return fmt.Errorf("turn off br_netfilter on bridge %d: %w", index, err)
	}
	return nil
}
