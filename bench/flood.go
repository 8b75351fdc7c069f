package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gabion/gabion"
)

// frameSize is an Ethernet frame of the least size, without its checksum.
const frameSize = 60

// addressing is where a frame is from and to.
type addressing struct {
	mac  gabion.MAC
	ip   netip.Addr
	port uint16
}

// udpFrame is a frame of the least size that carries UDP over IPv4, checksum absent.
func udpFrame(from, to addressing) []byte {
	f := make([]byte, frameSize)
	copy(f[0:], to.mac[:])
	copy(f[6:], from.mac[:])
	binary.BigEndian.PutUint16(f[12:], 0x0800)
	ip := f[14:34]
	ip[0], ip[8], ip[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(ip[2:], frameSize-14)
	copy(ip[12:], from.ip.AsSlice())
	copy(ip[16:], to.ip.AsSlice())
	binary.BigEndian.PutUint16(ip[10:], checksum(ip))
	binary.BigEndian.PutUint16(f[34:], from.port)
	binary.BigEndian.PutUint16(f[36:], to.port)
	binary.BigEndian.PutUint16(f[38:], frameSize-34)
	return f
}

func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// batch is how many frames one system call sends.
const batch = 64

type mmsghdr struct {
	header unix.Msghdr
	sent   uint32
	_      uint32
}

// flooder sends frames as fast as one core does, past the queueing discipline.
type flooder struct {
	socket   int
	frames   [batch][]byte
	vectors  [batch]unix.Iovec
	messages [batch]mmsghdr
}

// newFlooder must be called within the sender's namespace.
func newFlooder(link string) (*flooder, error) {
	device, err := net.InterfaceByName(link)
	if err != nil {
		return nil, fmt.Errorf("find link %s: %w", link, err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make packet socket: %w", err)
	}
	err = errors.Join(
		unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: device.Index}),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1),
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bind packet socket to %s: %w", link, err), unix.Close(fd))
	}
	return &flooder{socket: fd}, nil
}

func (f *flooder) close() error { return unix.Close(f.socket) }

// load lays frames out for the kernel: in turn, if there are fewer than a batch.
func (f *flooder) load(frames [][]byte) {
	for i := range batch {
		frame := frames[i%len(frames)]
		f.frames[i] = append(f.frames[i][:0], frame...)
		f.vectors[i].Base = &f.frames[i][0]
		f.vectors[i].SetLen(len(frame))
		f.messages[i].header.Iov = &f.vectors[i]
		f.messages[i].header.SetIovlen(1)
	}
}

// send sends the batch, and tells how many frames of it the kernel took.
func (f *flooder) send() (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(f.socket),
		uintptr(unsafe.Pointer(&f.messages[0])), batch, 0, 0, 0)
	if errno == unix.ENOBUFS {
		return 0, nil
	}
	if errno != 0 {
		return 0, fmt.Errorf("send frames: %w", errno)
	}
	return int(n), nil
}

// sendAll sends a batch of these.
func (f *flooder) sendAll(frames [][]byte) error {
	f.load(frames)
	n, err := f.send()
	if err == nil && n < batch {
		err = fmt.Errorf("send frames: %d of %d were sent", n, batch)
	}
	return err
}

// flood sends for a while on the core it is called on; vary may change the
// frames between batches. It tells how many were sent.
func (f *flooder) flood(duration time.Duration, vary func(frames *[batch][]byte)) (sent int, err error) {
	for end := time.Now().Add(duration); time.Now().Before(end); {
		if vary != nil {
			vary(&f.frames)
		}
		n, err := f.send()
		if err != nil {
			return sent, err
		}
		sent += n
	}
	return sent, nil
}

// Nearly all traffic is made, forwarded and received on one core. Nothing waits for
// another, so what is measured is what a packet costs.
const (
	core      = 0
	otherCore = 1
)

// pin keeps the calling goroutine on a core until it ends, before all else that
// runs there. Its thread ends with it: it is never given back.
func pin(core int) error {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(core)
	first := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
	if err := errors.Join(unix.SchedSetaffinity(0, &set), unix.SchedSetAttr(0, &first, 0)); err != nil {
		return fmt.Errorf("have a core alone: %w", err)
	}
	return nil
}
