package agent_test

import (
	"encoding/binary"
	"errors"
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gabion/gabion/internal/privilege"
)

// enterNamespace moves the test into a network namespace that ends with it: the
// thread is never given back.
func enterNamespace(t *testing.T) {
	t.Helper()
	privilege.Require(t)
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
}

// wire sends and receives frames at an interface.
type wire struct {
	socket, index int
	buffer        []byte
}

func openWire(t *testing.T, index int) *wire {
	t.Helper()
	const all = uint16(unix.ETH_P_ALL>>8 | unix.ETH_P_ALL<<8)
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(all))
	if err == nil {
		err = unix.Bind(socket, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index})
	}
	if err == nil {
		err = unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20)
	}
	if err == nil {
		err = unix.SetsockoptPacketMreq(socket, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
			&unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC})
	}
	if err != nil {
		t.Fatal(err)
	}
	return &wire{socket, index, make([]byte, 2048)}
}

func (w *wire) send(frame []byte) error {
	return unix.Sendto(w.socket, frame, 0, &unix.SockaddrLinklayer{Ifindex: w.index})
}

// receive is the next frame, if one is there.
func (w *wire) receive() ([]byte, bool) {
	n, from, err := unix.Recvfrom(w.socket, w.buffer, 0)
	if err != nil {
		return nil, false
	}
	if l, ok := from.(*unix.SockaddrLinklayer); ok && l.Pkttype == unix.PACKET_OUTGOING {
		return nil, true
	}
	return w.buffer[:n], true
}

func (w *wire) close() { unix.Close(w.socket) }

// openTestTap makes a tap of that name and, unless it is 0, index.
func openTestTap(name string, index int, flags uint16) (fd int, err error) {
	if fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err != nil {
		return -1, err
	}
	if index != 0 {
		number := int32(index)
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETIFINDEX, uintptr(unsafe.Pointer(&number))); e != 0 {
			return -1, errors.Join(e, unix.Close(fd))
		}
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | flags)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// udpFrame is a datagram without a UDP checksum, in a frame.
func udpFrame(to, from []byte, source, destination [4]byte, payload []byte) []byte {
	frame := append(append(append([]byte{}, to...), from...), 8, 0)
	length := 20 + 8 + len(payload)
	ip := make([]byte, 20)
	ip[0], ip[8], ip[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(ip[2:], uint16(length))
	copy(ip[12:], source[:])
	copy(ip[16:], destination[:])
	sum := uint32(0)
	for i := 0; i < len(ip); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum))
	udp := []byte{0x10, 0, 0x10, 1, 0, byte(8 + len(payload)), 0, 0}
	frame = append(append(append(frame, ip...), udp...), payload...)
	return append(frame, make([]byte, max(0, 60-len(frame)))...)
}
