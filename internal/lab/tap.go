package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gabion/gabion"
)

// Tap is a guest without a network stack: a tap device whose other end is the
// caller's, as a virtual machine's is its emulator's. Every frame is what the
// caller makes of it, segmentation included.
type Tap struct {
	Name      string
	MAC       gabion.MAC
	Addr4     netip.Addr
	Addr6     netip.Addr
	Interface string // the host's end, which Gabion filters

	file *os.File
}

// vnetHeader is struct virtio_net_hdr, which goes before every frame.
const vnetHeader = 10

// tunRequest is struct ifreq as TUNSETIFF wants it.
type tunRequest struct {
	name  [unix.IFNAMSIZ]byte
	flags uint16
	_     [22]byte
}

// AddTap makes a tap and plugs it into the host's bridge. It goes when it is
// closed, or with the lab.
func (h *Host) AddTap(name string) (*Tap, error) {
	number := h.lab.nextNumber()
	t := &Tap{
		Name: name, MAC: macOf(number), Interface: "tap-" + name,
		Addr4: numbered(guestNetwork4, number).Addr(), Addr6: numbered(guestNetwork6, number).Addr(),
	}
	err := h.namespace.Do(func() (err error) {
		t.file, err = openTap(t.Interface)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("add tap %s: %w", name, err)
	}
	h.lab.taps = append(h.lab.taps, t)
	link, err := upLink(h.namespace.links, t.Interface)
	if err != nil {
		return nil, err
	}
	// An open tap has its carrier from the start: there is nothing to wait for.
	return t, enslave(h.namespace.links, link, h.bridge)
}

// openTap makes the device in the namespace of the thread it is called on.
func openTap(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	request := tunRequest{flags: unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETIFF, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return nil, errors.Join(fmt.Errorf("make tap: %w", errno), unix.Close(fd))
	}
	// What comes is never larger than the wire's frames; what goes may be.
	return os.NewFile(uintptr(fd), name), nil
}

// Close unplugs the tap.
func (t *Tap) Close() error {
	if err := t.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("close tap %s: %w", t.Name, err)
	}
	return nil
}

// Send puts a frame on the host's end as it is.
func (t *Tap) Send(frame []byte) error {
	return t.write(make([]byte, vnetHeader), frame)
}

// SendSegments puts a TCP segment without IP options on the host's end that the
// kernel is to cut into pieces of so many bytes of payload each. Its checksum
// field must hold the sum of the pseudo-header.
func (t *Tap) SendSegments(frame []byte, size int) error {
	const (
		needsChecksum  = 1
		tcp4, tcp6     = 1, 4
		ethernetHeader = 14
		checksumOffset = 16
	)
	kind, ip := byte(tcp4), 20
	if binary.BigEndian.Uint16(frame[12:]) == unix.ETH_P_IPV6 {
		kind, ip = tcp6, 40
	}
	transport := ethernetHeader + ip
	header := []byte{needsChecksum, kind}
	header = binary.NativeEndian.AppendUint16(header, uint16(transport+int(frame[transport+12]>>4)*4))
	header = binary.NativeEndian.AppendUint16(header, uint16(size))
	header = binary.NativeEndian.AppendUint16(header, uint16(transport))
	header = binary.NativeEndian.AppendUint16(header, checksumOffset)
	return t.write(header, frame)
}

// SendRaw puts a frame on the host's end behind a header of the caller's own, struct
// virtio_net_hdr: it tells the kernel what it is to do with the frame.
func (t *Tap) SendRaw(header [vnetHeader]byte, frame []byte) error {
	return t.write(header[:], frame)
}

func (t *Tap) write(header, frame []byte) error {
	if _, err := t.file.Write(append(header, frame...)); err != nil {
		return fmt.Errorf("send frame from %s: %w", t.Name, err)
	}
	return nil
}

// Next is the next frame that arrives by the deadline; the error is
// os.ErrDeadlineExceeded if none does.
func (t *Tap) Next(deadline time.Time) ([]byte, error) {
	if err := t.file.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	buf := make([]byte, 64<<10)
	n, err := t.file.Read(buf)
	if err != nil {
		return nil, err
	}
	return buf[vnetHeader:n], nil
}
