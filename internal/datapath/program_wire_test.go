package datapath

import (
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gabion/gabion"
)

// wire is a bridge with two ports, the guest's and the peer's, in a network
// namespace of its own. It shows what program runs can't: frames as the kernel
// hands them to programs, with tags in their metadata and bytes outside of the head.
type wire struct {
	*programs
	guest, peer int // sockets at the far ends of the ports
}

func newWire(t *testing.T) *wire {
	t.Helper()
	w := &wire{programs: newPrograms(t)}
	w.real()
	runtime.LockOSThread() // for good: the thread ends with the test
	w.must(unix.Unshare(unix.CLONE_NEWNET))
	w.silence()

	snoop := false // it joins groups, and says so
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "bridge"}, MulticastSnooping: &snoop}
	w.must(netlink.LinkAdd(bridge))
	w.must(netlink.LinkSetUp(bridge))
	port := w.port(bridge, "guest")
	w.guest = w.socket("guest-far")
	w.port(bridge, "peer")
	w.peer = w.socket("peer-far")

	w.table = w.attach(uint32(port), nicSlot, guestSet, guest, flowLimit)
	w.rules = w.ruleset(guestSet)
	w.member(1, peer.ip4, peerGroup)
	w.member(1, peer.ip6, peerGroup)
	w.rules.allow(rulePeerSSH, gabion.Ingress, peerGroup, gabion.TCP, 22, 16)
	w.hook(port, w.objects.FromInstance, ebpf.AttachTCXIngress)
	w.hook(port, w.objects.ToInstance, ebpf.AttachTCXEgress)
	return w
}

// silence keeps the kernel from sending frames of its own, and from filtering
// bridged ones, which it does where br_netfilter is loaded.
func (w *wire) silence() {
	w.Helper()
	w.must(os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0))
	for _, family := range []string{"ip", "ip6", "arp"} {
		err := os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-"+family+"tables", []byte("0"), 0)
		if !errors.Is(err, os.ErrNotExist) {
			w.must(err)
		}
	}
}

// port adds a port to the bridge, with a far end that takes large frames.
func (w *wire) port(bridge netlink.Link, name string) (ifindex int) {
	w.Helper()
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name, MTU: 65000}, PeerName: name + "-far"}
	w.must(netlink.LinkAdd(veth))
	far, err := netlink.LinkByName(name + "-far")
	w.must(err)
	w.must(netlink.LinkSetMTU(far, 65000))
	w.must(netlink.LinkSetMaster(veth, bridge))
	w.must(netlink.LinkSetUp(veth))
	w.must(netlink.LinkSetUp(far))
	return veth.Index
}

func (w *wire) hook(ifindex int, p *ebpf.Program, at ebpf.AttachType) {
	w.Helper()
	l, err := link.AttachTCX(link.TCXOptions{Interface: ifindex, Program: p, Attach: at})
	w.must(err)
	w.Cleanup(func() { l.Close() })
}

// socket sends frames from an interface, each behind a virtio-net header, as a guest's device does.
func (w *wire) socket(name string) int {
	w.Helper()
	l, err := netlink.LinkByName(name)
	w.must(err)
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	w.must(err)
	w.Cleanup(func() { unix.Close(fd) })
	w.must(unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1))
	w.must(unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: l.Attrs().Index}))
	return fd
}

// offload is what a guest's device leaves to the host: head is how many bytes are
// in one piece at least, and size divides the payload. The sum of all from the byte
// sumFrom on is to be written sumAt bytes behind it.
type offload struct{ kind, head, size, sumFrom, sumAt int }

func (w *wire) send(socket int, frame []byte, o offload) {
	w.Helper()
	header := make([]byte, 10)
	header[1] = byte(o.kind)
	binary.NativeEndian.PutUint16(header[2:], uint16(o.head))
	binary.NativeEndian.PutUint16(header[4:], uint16(o.size))
	if o.sumFrom != 0 {
		const needsChecksum = 1
		header[0] = needsChecksum
		binary.NativeEndian.PutUint16(header[6:], uint16(o.sumFrom))
		binary.NativeEndian.PutUint16(header[8:], uint16(o.sumAt))
	}
	_, err := unix.Write(socket, slices.Concat(header, frame))
	w.must(err)
}

// counts sends a frame and awaits that exactly this was counted of it.
func (w *wire) counts(socket int, frame []byte, o offload, want map[gabion.Reason]uint64) {
	w.Helper()
	before := w.counted(nicSlot)
	w.send(socket, frame, o)
	var got map[gabion.Reason]uint64
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		got = w.counted(nicSlot)
		for reason, n := range before {
			if got[reason] -= n; got[reason] == 0 {
				delete(got, reason)
			}
		}
		if cmp.Equal(want, got) {
			return
		}
		runtime.Gosched()
	}
	w.Errorf("counted (-want +got):\n%s\nof %x", cmp.Diff(want, got), frame[:min(len(frame), 80)])
}

func one(r gabion.Reason) map[gabion.Reason]uint64 { return map[gabion.Reason]uint64{r: 1} }

// tagged puts VLAN tags into a frame.
func tagged(frame []byte, tags ...uint32) []byte {
	frame = slices.Clone(frame)
	for _, tag := range slices.Backward(tags) {
		frame = slices.Insert(frame, 12, binary.BigEndian.AppendUint32(nil, tag)...)
	}
	return frame
}

// TestTagsInTheMetadata: the kernel moves a tag from the frame to its metadata before programs see it.
func TestTagsInTheMetadata(t *testing.T) {
	w := newWire(t)
	out, in := ip4(guest, peer, protoUDP, udp(1, 2)), arp(1, peer, guest, guest.mac)
	w.counts(w.guest, out, offload{}, one(gabion.PassEgressOpen)) // and the bridge learns where the guest is
	w.counts(w.peer, in, offload{}, one(gabion.PassARP))
	for _, tags := range [][]uint32{
		{0x81000005}, {0x81000000}, {0x88a80005}, {0x88a80005, 0x81000006}, {0x81000005, 0x81000006},
	} {
		w.counts(w.guest, tagged(out, tags...), offload{}, one(gabion.DropVLAN))
		w.counts(w.peer, tagged(in, tags...), offload{}, one(gabion.DropVLAN))
	}
	w.counts(w.guest, out, offload{}, one(gabion.PassFlow))
}

// TestFramesInPieces: of what an offload hands over, only some bytes are where programs read directly.
func TestFramesInPieces(t *testing.T) {
	w := newWire(t)
	c4, c6 := connection{ip4, peer, guest}, connection{ip6, peer, guest}
	w.counts(w.guest, arp(2, guest, peer, peer.mac), offload{}, one(gabion.PassARP)) // where the guest is
	pieces := offload{head: 14}
	for _, c := range []connection{c4, c6} {
		w.counts(w.peer, c.says(syn, 1000, 0, 9000), pieces, one(gabion.PassRule))
		w.counts(w.guest, c.answers(syn|ack, 5000, 10001, 9000), pieces, one(gabion.PassFlow))
		w.counts(w.peer, c.says(ack, 10001, 14001, 9000), pieces, one(gabion.PassFlow))
		w.counts(w.guest, c.answers(syn|ack, 5000, 1, 9000)[:9000], pieces, one(gabion.DropMalformed))
	}
	w.counts(w.guest, ip6(guest, peer, hopByHop, extension(destination, 0, extension(protoUDP, 5, udp(67, 1, make([]byte, 5000)...)))), pieces, one(gabion.DropDHCPServer))
	w.counts(w.guest, ip4(guest, peer, protoUDP, append([]byte{131, 3, 0, 0}, udp(1, 2, make([]byte, 5000)...)...), bytesAt(0, 0x46)), pieces, one(gabion.DropSourceRoute))

	// Nine thousand bytes in pieces of thousand are nine packets, but as many as they are judged as one.
	const gsoTCPv4 = 1
	w.counts(w.guest, c4.answers(ack, 14001, 10001, 9000), offload{kind: gsoTCPv4, head: 54, size: 1000, sumFrom: 34, sumAt: 16}, map[gabion.Reason]uint64{gabion.PassFlow: 9})
	w.counts(w.peer, c4.says(ack, 19001, 14001, 8001), offload{kind: gsoTCPv4, head: 54, size: 1000, sumFrom: 34, sumAt: 16}, map[gabion.Reason]uint64{gabion.PassFlow: 9})
}

// TestFramesThatAreTooShort: program runs take none whose IP header is cut.
func TestFramesThatAreTooShort(t *testing.T) {
	w := newWire(t)
	for n := 14; n < 34; n++ {
		w.counts(w.guest, ip4(guest, peer, protoUDP, udp(1, 2))[:n], offload{}, one(gabion.DropMalformed))
	}
	for n := 14; n < 54; n++ {
		w.counts(w.guest, ip6(guest, peer, protoUDP, udp(1, 2))[:n], offload{}, one(gabion.DropMalformed))
	}
	w.counts(w.guest, arp(1, guest, peer, everybody)[:20], offload{}, one(gabion.DropARPInvalid))
	w.counts(w.guest, arp(1, guest, peer, everybody), offload{}, one(gabion.PassARP))
}

// TestNICsDoNotMeet: two organizations may use the same addresses, and one NIC's flood costs no other its flows.
func TestNICsDoNotMeet(t *testing.T) {
	w := newPrograms(t)
	runtime.LockOSThread()
	w.must(unix.Unshare(unix.CLONE_NEWNET))
	w.must(netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "one"}, PeerName: "other"}))
	const oneSlot, otherSlot = nicSlot, nicSlot + 1
	var at [2]*skb
	for i, name := range []string{"one", "other"} {
		l, err := netlink.LinkByName(name)
		w.must(err)
		at[i] = &skb{Ifindex: uint32(l.Attrs().Index)}
		w.attach(at[i].Ifindex, oneSlot+uint32(i), guestSet+uint32(i), guest, 0)
		w.ruleset(guestSet + uint32(i))
	}
	question, answer := ip4(guest, peer, protoUDP, udp(999, 53)), ip4(peer, guest, protoUDP, udp(53, 999))

	w.skb = at[0]
	w.sends(question, gabion.PassEgressOpen)
	w.skb = at[1]
	w.gets(answer, gabion.DropDeniedIngress)
	w.sends(question, gabion.PassEgressOpen)

	w.skb = at[0]
	w.sends(piece4(guest, peer, 1, 0, 16, true), gabion.PassFlow)
	w.skb = at[1]
	w.sends(piece4(guest, peer, 1, 16, 16, true), gabion.DropFragmentOrphan)
	for n := range uint16(20_000) { // more than fits twice
		w.run(gabion.Egress, ip4(guest, stranger, protoTCP, tcp(n, 80, syn)))
		w.run(gabion.Egress, piece4(guest, peer, n, 0, 16, true))
	}
	w.skb = at[0]
	w.gets(answer, gabion.PassFlow)
	w.sends(piece4(guest, peer, 1, 16, 16, true), gabion.PassFlow)
	w.skb = &skb{Ifindex: loopback}
	w.gets(answer, gabion.DropNoPolicy)
}
