package e2e_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/gabion/gabion/internal/lab"
	"github.com/gabion/gabion/test/frame"
)

// Ports of UDP: one that the rules admit, one that only the kernel writes, and one by
// which the test knows that everything before has come.
const (
	admittedPort  = 53
	forbiddenPort = 22
	markerPort    = 5301
)

// falseHost ends the addresses that the kernel writes.
const falseHost = 0x0001

// offloaded is a frame that passes as it is, and which the kernel is asked to change
// behind the programs.
type offloaded struct {
	name      string
	before    []byte // sent first, without any such wish
	header    [10]byte
	frame     []byte
	isChanged func(f []byte) bool
}

// TestNothingIsWrittenBehindThePrograms: a machine's device may leave a checksum to the
// kernel, and the cutting of a frame, and say where and how.
func TestNothingIsWrittenBehindThePrograms(t *testing.T) {
	s := newSite(t)
	host := s.lab.Hosts()[0]
	sender, err := host.AddTap("c1")
	if err != nil {
		t.Fatal(err)
	}
	victim, err := host.AddTap("v1")
	if err != nil {
		t.Fatal(err)
	}
	frames := offloadedFrames(sender, victim)
	for _, o := range frames {
		if !o.arrivesChanged(t, sender, victim) {
			t.Errorf("%s: unfiltered, the kernel doesn't change the frame", o.name)
		}
	}

	s.start(t)
	s.run(
		t, "group create all",
		fmt.Sprintf("rule add all --protocol udp --port %d --from all", admittedPort),
		fmt.Sprintf("rule add all --protocol udp --port %d --from all", markerPort),
	)
	for _, tap := range []*lab.Tap{sender, victim} {
		s.run(t, fmt.Sprintf("instance create %s --host h1 --interface %s --mac %s --ip %s,%s --group all", tap.Name, tap.Interface, tap.MAC, tap.Addr4, tap.Addr6))
	}
	for _, o := range frames {
		if o.arrivesChanged(t, sender, victim) {
			t.Errorf("%s: the victim gets the frame as the kernel changed it", o.name)
		}
	}
	honest := datagramTo(sender, victim, admittedPort)
	if err := sender.SendRaw(leaves(34, 6), honest); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(received(t, sender, victim), func(f []byte) bool { return udpPort(f) == admittedPort }) {
		t.Error("a checksum that is left where it belongs keeps the frame from arriving")
	}
}

func (o offloaded) arrivesChanged(t *testing.T, sender, victim *lab.Tap) bool {
	t.Helper()
	if o.before != nil {
		if err := sender.Send(o.before); err != nil {
			t.Fatal(err)
		}
	}
	if err := sender.SendRaw(o.header, o.frame); err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(received(t, sender, victim), o.isChanged)
}

// received is what has arrived of what was sent so far.
func received(t *testing.T, sender, victim *lab.Tap) (frames [][]byte) {
	t.Helper()
	if err := sender.Send(datagramTo(sender, victim, markerPort)); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		f, err := victim.Next(deadline)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("the frame behind does not arrive")
		}
		if err != nil {
			t.Fatal(err)
		}
		if udpPort(f) == markerPort {
			return frames
		}
		frames = append(frames, f)
	}
}

func offloadedFrames(sender, victim *lab.Tap) []offloaded {
	toPort := datagramTo(sender, victim, admittedPort)
	inARP := frame.Ethernet{
		Destination: victim.MAC, Source: sender.MAC, Kind: frame.KindARP,
		Payload: append(frame.ARP{
			Operation: frame.ARPReply, SenderMAC: sender.MAC, SenderIP: sender.Addr4, TargetMAC: victim.MAC, TargetIP: victim.Addr4,
		}.Bytes(), make([]byte, 22)...),
	}.Bytes()
	return []offloaded{
		{
			name: "a checksum in the port", header: leaves(34, 2), frame: summing(slices.Clone(toPort), 34, forbiddenPort),
			isChanged: func(f []byte) bool { return udpPort(f) == forbiddenPort },
		},
		{
			name: "a checksum in the source address", header: leaves(28, 0), frame: summing(slices.Clone(toPort), 28, falseHost),
			isChanged: func(f []byte) bool { return udpPort(f) != 0 && binary.BigEndian.Uint16(f[28:]) == falseHost },
		},
		{
			name: "a checksum in ARP's sender", header: leaves(30, 0), frame: summing(inARP, 30, falseHost),
			isChanged: func(f []byte) bool {
				return binary.BigEndian.Uint16(f[12:]) == frame.KindARP && binary.BigEndian.Uint16(f[30:]) == falseHost
			},
		},
		{
			name:      "a later fragment that is cut into first ones",
			before:    fragment(sender, victim, 0, frame.UDP{Source: 5000, Destination: admittedPort, Payload: make([]byte, 8)}.Bytes()),
			header:    cutting(34, 800),
			frame:     fragment(sender, victim, 16, frame.UDP{Source: 5000, Destination: forbiddenPort, Payload: make([]byte, 1600)}.Bytes()),
			isChanged: func(f []byte) bool { return udpPort(f) == forbiddenPort },
		},
	}
}

// leaves is the header of a frame whose checksum, of what begins there, the kernel is
// to write so many bytes behind.
func leaves(from, at int) (header [10]byte) {
	const needsChecksum = 1
	header[0] = needsChecksum
	binary.NativeEndian.PutUint16(header[6:], uint16(from))
	binary.NativeEndian.PutUint16(header[8:], uint16(at))
	return header
}

// cutting is the header of a datagram of UDP that the kernel is to cut into fragments.
func cutting(from, size int) [10]byte {
	const kindUDP = 3
	header := leaves(from, 6)
	header[1] = kindUDP
	binary.NativeEndian.PutUint16(header[2:], uint16(from+8))
	binary.NativeEndian.PutUint16(header[4:], uint16(size))
	return header
}

// summing makes the kernel's checksum of what begins there come out as want.
func summing(f []byte, from int, want uint16) []byte {
	free := f[len(f)-2:]
	for n := range 1 << 16 {
		binary.BigEndian.PutUint16(free, uint16(n))
		if internetSum(f[from:]) == want {
			break
		}
	}
	return f
}

// internetSum is the checksum of RFC 1071 of an even number of bytes.
func internetSum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 0; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func datagramTo(from, to *lab.Tap, port uint16) []byte {
	return whole(from, to, frame.IPv4{Payload: frame.UDP{Source: 5000, Destination: port, Payload: make([]byte, 32)}.Bytes()})
}

func fragment(from, to *lab.Tap, offset int, body []byte) []byte {
	return whole(from, to, frame.IPv4{ID: 77, Offset: offset, More: offset == 0, Payload: body})
}

func whole(from, to *lab.Tap, ip frame.IPv4) []byte {
	const udp = 17
	ip.Source, ip.Destination, ip.Protocol = from.Addr4, to.Addr4, udp
	f := frame.Ethernet{Destination: to.MAC, Source: from.MAC, Kind: frame.KindIPv4, Payload: ip.Bytes()}.Bytes()
	// Hosts whose bridges call the packet filter look at the header's checksum.
	binary.BigEndian.PutUint16(f[24:], internetSum(f[14:34]))
	return f
}

// udpPort is where a datagram of UDP goes to, 0 of other frames and of later fragments.
func udpPort(f []byte) uint16 {
	const udp = 17
	if len(f) < 42 || binary.BigEndian.Uint16(f[12:]) != frame.KindIPv4 || f[23] != udp || binary.BigEndian.Uint16(f[20:])&0x1fff != 0 {
		return 0
	}
	return binary.BigEndian.Uint16(f[36:])
}
