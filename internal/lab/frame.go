package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Frame is an Ethernet frame as a capture shows it.
type Frame struct {
	Data []byte // without the outer VLAN tag, which the kernel takes out
	Tag  uint32 // that tag: EtherType and TCI; 0 if there was none
}

// Wire is the frame as it was sent.
func (f Frame) Wire() []byte {
	if f.Tag == 0 {
		return f.Data
	}
	wire := binary.BigEndian.AppendUint32(slices.Clone(f.Data[:12]), f.Tag)
	return append(wire, f.Data[12:]...)
}

// Send puts frames on the endpoint's link, as they are and in that order.
func (e *Endpoint) Send(frames ...[]byte) error {
	f, err := e.namespace.socket(unix.AF_PACKET, unix.SOCK_RAW, 0, func(fd int) error {
		for _, frame := range frames {
			if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: e.index}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("send frames from %s: %w", e.Name, err)
	}
	return f.Close()
}

// Capture shows what arrives at a link, in promiscuous mode.
type Capture struct {
	where string
	file  *os.File
}

// captureBuffer holds what arrives while nobody reads.
const captureBuffer = 8 << 20

// Capture begins to record what arrives at the endpoint.
func (e *Endpoint) Capture() (*Capture, error) { return capture(e.namespace, e.index) }

// Capture begins to record what arrives at an interface of the host, such as a
// guest's host end: what the guest sends, as the programs there find it.
func (h *Host) Capture(name string) (*Capture, error) {
	link, err := h.namespace.links.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", name, err)
	}
	return capture(h.namespace, link.Attrs().Index)
}

func capture(ns *Namespace, index int) (*Capture, error) {
	f, err := ns.socket(unix.AF_PACKET, unix.SOCK_RAW, 0, func(fd int) error {
		promiscuous := &unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}
		return errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer),
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
			unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, promiscuous),
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: allProtocols(), Ifindex: index}),
		)
	})
	if err != nil {
		return nil, fmt.Errorf("capture in %s: %w", ns.Name, err)
	}
	return &Capture{where: ns.Name, file: f}, nil
}

// allProtocols is ETH_P_ALL in network byte order.
func allProtocols() uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
}

// Close ends the capture.
func (c *Capture) Close() error { return c.file.Close() }

// Until returns the frames that arrived, up to and without the first that is the
// last by the caller's judgment. It fails if that one does not come before ctx
// ends, or within a few seconds: a capture that saw nothing proves nothing.
func (c *Capture) Until(ctx context.Context, last func(Frame) bool) ([]Frame, error) {
	ctx, cancel := awaiting(ctx)
	defer cancel()
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.file.SetReadDeadline(deadline); err != nil {
			return nil, err
		}
	}
	// A cancelled context ends the read at once.
	defer context.AfterFunc(ctx, func() { c.file.SetReadDeadline(time.Unix(0, 1)) })() //nolint:errcheck // closed: nothing to end
	var frames []Frame
	for {
		frame, err := c.next()
		if err != nil {
			return frames, fmt.Errorf("capture in %s after %d frames: %w", c.where, len(frames), err)
		}
		if last(frame) {
			return frames, nil
		}
		frames = append(frames, frame)
	}
}

func (c *Capture) next() (Frame, error) {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return Frame{}, err
	}
	data, control := make([]byte, 64<<10), make([]byte, 128)
	var n, controlled int
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		n, controlled, _, _, failed = unix.Recvmsg(int(fd), data, control, 0)
		return !errors.Is(failed, unix.EAGAIN)
	})
	if err := errors.Join(err, failed); err != nil {
		return Frame{}, err
	}
	return Frame{Data: data[:n:n], Tag: vlanTag(control[:controlled])}, nil
}

// vlanTag reads struct tpacket_auxdata: status at 0, TCI at 16, EtherType at 18.
func vlanTag(control []byte) uint32 {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0
	}
	for _, m := range messages {
		isAuxdata := m.Header.Level == unix.SOL_PACKET && m.Header.Type == unix.PACKET_AUXDATA && len(m.Data) >= 20
		if isAuxdata && binary.NativeEndian.Uint32(m.Data)&unix.TP_STATUS_VLAN_VALID != 0 {
			return uint32(binary.NativeEndian.Uint16(m.Data[18:]))<<16 | uint32(binary.NativeEndian.Uint16(m.Data[16:]))
		}
	}
	return 0
}
