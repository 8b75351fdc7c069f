package e2e_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/gabion/gabion/internal/lab"
)

// namespaceSwitch sends bridged packets through the host's packet filter. It is on
// from the start, in the lab as on a hypervisor with br_netfilter.
const namespaceSwitch = "/proc/sys/net/bridge/bridge-nf-call-iptables"

// The host's own packet filter does not see what passes between instances: it
// neither drops it nor cuts its padding off. Whichever switch puts it there is off
// as soon as there are instances.
func TestPacketFilterOfTheHost(t *testing.T) {
	for name, turnOn := range map[string]func(t *testing.T, h *lab.Host){
		"for its namespace": func(*testing.T, *lab.Host) {},
		"for the bridge":    onlyForBridge,
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			needPacketFilter(t)
			h1, a1, b1 := s.lab.Hosts()[0], s.guests["a1"], s.guests["b1"]
			turnOn(t, h1)
			if isPaddingKept(t, a1, b1) {
				t.Fatal("unfiltered, padding arrives: the packet filter does not see the frame")
			}
			dropForwarded(t, h1)
			over4 := services(a1.Endpoint, b1.Endpoint)[:1]
			s.check(t, over4, func(lab.Probe) bool { return false })

			s.start(t)
			s.openGroup(t)
			s.register(t, "open", "a1", "b1")
			s.checkOpen(t)
			if !isPaddingKept(t, a1, b1) {
				t.Error("padding does not arrive")
			}
		})
	}
}

// Where other bridges may count on the packet filter it stays on, and the agent
// says that it does.
func TestPacketFilterOfOtherBridges(t *testing.T) {
	s := newSite(t)
	needPacketFilter(t)
	h1 := s.lab.Hosts()[0]
	err := h1.Namespace().Do(func() error {
		return netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br9"}})
	})
	if err != nil {
		t.Fatal(err)
	}
	s.start(t)
	s.openGroup(t)
	s.register(t, "open", "a1", "b1")
	log := filepath.Join(s.lab.Dir(), h1.Name+".log")
	s.await(t, "the agent to say that br_netfilter is on", func() bool {
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(text, []byte("br_netfilter is on")) && bytes.Contains(text, []byte("br9"))
	})
	if !isOn(t, h1) {
		t.Error("the switch that the other bridge counts on is off")
	}
}

// needPacketFilter skips the test where the kernel has no br_netfilter, and fails
// it in CI instead.
func needPacketFilter(t *testing.T) {
	t.Helper()
	_, err := os.Stat(namespaceSwitch)
	switch {
	case err == nil:
	case os.Getenv("CI") == "true":
		t.Fatalf("needs br_netfilter, and CI runs without it: %v", err)
	default:
		t.Skipf("needs br_netfilter: %v", err)
	}
}

func isOn(t *testing.T, h *lab.Host) bool {
	t.Helper()
	var value []byte
	err := h.Namespace().Do(func() (err error) {
		value, err = os.ReadFile(namespaceSwitch)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(value)) == "1"
}

// onlyForBridge turns the namespace's switches off and the bridge's on.
func onlyForBridge(t *testing.T, h *lab.Host) {
	t.Helper()
	err := h.Namespace().Do(func() error {
		if err := os.WriteFile(namespaceSwitch, []byte("0"), 0); err != nil {
			return err
		}
		bridge, err := netlink.LinkByName("br0")
		if err != nil {
			return err
		}
		message := nl.NewIfInfomsg(unix.AF_UNSPEC)
		message.Index = int32(bridge.Attrs().Index)
		info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
		info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("bridge"))
		info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.IFLA_BR_NF_CALL_IPTABLES, nl.Uint8Attr(1))
		request := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK)
		request.AddData(message)
		request.AddData(info)
		_, err = request.Execute(unix.NETLINK_ROUTE, 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// dropForwarded lets the host's packet filter drop whatever it forwards.
func dropForwarded(t *testing.T, h *lab.Host) {
	t.Helper()
	err := h.Namespace().Do(func() error {
		nft := exec.Command("nft", "-f", "-")
		nft.Stdin = strings.NewReader("table inet closed { chain forward { type filter hook forward priority 0; policy drop; }; }")
		nft.Stderr = os.Stderr
		return nft.Run()
	})
	if err != nil {
		t.Fatalf("drop what is forwarded: %v", err)
	}
}

// isPaddingKept tells whether a frame arrives with the padding that was sent
// behind its packet.
func isPaddingKept(t *testing.T, from, to *lab.Guest) bool {
	t.Helper()
	packet := datagram(t, from, to)
	padded := append(bytes.Clone(packet), make([]byte, 20)...)
	capture, err := to.Capture()
	if err != nil {
		t.Fatal(err)
	}
	defer capture.Close()
	if err := from.Send(padded); err != nil {
		t.Fatal(err)
	}
	var arrived []byte
	_, err = capture.Until(t.Context(), func(f lab.Frame) bool {
		arrived = f.Data
		return bytes.HasPrefix(f.Data, packet)
	})
	if err != nil {
		t.Fatal(err)
	}
	if !cmp.Equal(arrived, padded) && !cmp.Equal(arrived, packet) {
		t.Errorf("what arrives is neither what was sent nor the packet alone: %x", arrived)
	}
	return len(arrived) == len(padded)
}

// datagram is an honest frame, whose packet is as long as the frame.
func datagram(t *testing.T, from, to *lab.Guest) []byte {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: from.Addr4.AsSlice(), DstIP: to.Addr4.AsSlice()}
	udp := &layers.UDP{SrcPort: 40_000, DstPort: gossipPort}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	buffer := gopacket.NewSerializeBuffer()
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	ethernet := &layers.Ethernet{SrcMAC: from.MAC[:], DstMAC: to.MAC[:], EthernetType: layers.EthernetTypeIPv4}
	if err := gopacket.SerializeLayers(buffer, options, ethernet, ip, udp, gopacket.Payload("long enough for a frame without padding")); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}
