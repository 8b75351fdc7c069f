package datapath_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/datapath"
	"github.com/gabion/gabion/internal/policy"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestADropIsCountedAndTold sends a frame that no rule admits from an instance's
// side of its interface.
func TestADropIsCountedAndTold(t *testing.T) {
	h := newHost(t)
	links := map[string]int{"tap0": addInterface(t, "tap0")}
	guest := setUp(t, "tap0", "tap0p")
	view := oneRule(gabion.Rule{Direction: gabion.Egress, Ports: gabion.PortRange{Start: 22, End: 22}})
	nic := &view.Instances["instance-0"].NICs[0]
	nic.MAC = gabion.MAC{2, 0, 0, 0, 0, 1}
	h.apply(t, view, links)

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	told := make(chan datapath.Event, 16)
	ended := make(chan error, 1)
	go func() { ended <- h.Events(ctx, func(e datapath.Event) { told <- e }) }()

	send(t, guest, udp(net.HardwareAddr(nic.MAC[:]), nic.Addresses[0].AsSlice(), 5353))
	want := datapath.Event{
		Owner:     datapath.Owner{Instance: "instance-0", Interface: "tap0"},
		Direction: gabion.Egress,
		Reason:    gabion.DropDeniedEgress,
		Remote:    netip.MustParseAddrPort("203.0.113.7:5353"),
		Local:     netip.MustParseAddrPort("192.0.2.1:40000"),
		Protocol:  gabion.UDP,
	}
	got := awaitEvent(t, told, gabion.DropDeniedEgress)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(datapath.Event{}, "Time"), cmp.Comparer(sameAddrPort)); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	if age := time.Since(got.Time); age < -time.Second || age > time.Minute {
		t.Errorf("the event is %v old", age)
	}
	if n := h.counter(t, gabion.DropDeniedEgress); n != 1 {
		t.Errorf("%d packets counted, want 1", n)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("events ended with %v", err)
	}
}

func sameAddrPort(a, b netip.AddrPort) bool { return a == b }

func awaitEvent(t *testing.T, told <-chan datapath.Event, reason gabion.Reason) datapath.Event {
	t.Helper()
	for timeout := time.After(10 * time.Second); ; {
		select {
		case e := <-told:
			if e.Reason == reason {
				return e
			}
		case <-timeout:
			t.Fatalf("no event for %s", reason)
		}
	}
}

func (h *host) counter(t *testing.T, reason gabion.Reason) uint64 {
	t.Helper()
	all, err := h.Verdicts()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if c.Interface == "tap0" && c.Reason == reason {
			return c.Packets
		}
	}
	return 0
}

// setUp brings interfaces up and returns the ifindex of the last.
func setUp(t *testing.T, names ...string) (ifindex int) {
	t.Helper()
	for _, name := range names {
		l, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(l)
		}
		if err != nil {
			t.Fatal(err)
		}
		ifindex = l.Attrs().Index
	}
	return ifindex
}

func udp(mac net.HardwareAddr, source net.IP, port uint16) []byte {
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: source, DstIP: net.IPv4(203, 0, 113, 7)}
	datagram := &layers.UDP{SrcPort: 40000, DstPort: layers.UDPPort(port)}
	if err := datagram.SetNetworkLayerForChecksum(ip); err != nil {
		panic(err)
	}
	buffer := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: mac, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 9}, EthernetType: layers.EthernetTypeIPv4},
		ip, datagram, gopacket.Payload("hello"))
	if err != nil {
		panic(err)
	}
	return buffer.Bytes()
}

func send(t *testing.T, ifindex int, frame []byte) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: ifindex}); err != nil {
		t.Fatal(err)
	}
}

// TestExpiredFlowsAreCollected and live ones are not.
func TestExpiredFlowsAreCollected(t *testing.T) {
	h := newHost(t)
	links := map[string]int{"tap0": addInterface(t, "tap0")}
	h.apply(t, oneRule(gabion.Rule{}), links)
	if err := h.PutFlows(3, 2); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{3 * 2, 0} { // settled flows, others and datagrams
		got, err := h.CollectExpired()
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%d flows collected, want %d", got, want)
		}
	}
	if got := h.countFlows(t); got != 3*3 {
		t.Errorf("%d are left, want %d", got, 3*3)
	}
}

// TestSlotsStartEmpty: who gets the slot that somebody else had finds nothing in it.
func TestSlotsStartEmpty(t *testing.T) {
	h := newHost(t)
	links := map[string]int{"tap0": addInterface(t, "tap0")}
	h.apply(t, oneRule(gabion.Rule{}), links)
	if err := h.PutFlows(3, 0); err != nil {
		t.Fatal(err)
	}
	h.reopen(t)
	h.apply(t, oneRule(gabion.Rule{}), links)
	if got := h.countFlows(t); got != 3*3 {
		t.Errorf("the NIC has %d flows after a restart, want %d", got, 3*3)
	}
	slot := h.slot(t)
	h.apply(t, policy.NewView(), links)
	h.reopen(t) // numbers are given from the first one on again
	h.apply(t, oneRule(gabion.Rule{}), links)
	if got := h.slot(t); got != slot {
		t.Fatalf("the NIC is in slot %d, not in %d again", got, slot)
	}
	if got := h.countFlows(t); got != 0 {
		t.Errorf("%d flows of the slot's last owner are left", got)
	}
}

func (h *host) countFlows(t *testing.T) int {
	t.Helper()
	n, err := h.CountFlows()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// slot is that of the only NIC.
func (h *host) slot(t *testing.T) uint32 {
	t.Helper()
	for slot := range h.Expected().Slots {
		return slot
	}
	t.Fatal("there is no NIC")
	return 0
}
