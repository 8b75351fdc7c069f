package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gabion/gabion/internal/lab/machine/control"
)

// packetSocket is bound to eth0 and sees every frame, whoever it is for.
func packetSocket() (int, error) {
	device, err := net.InterfaceByName("eth0")
	if err != nil {
		return 0, err
	}
	all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all))
	if err != nil {
		return 0, fmt.Errorf("make packet socket: %w", err)
	}
	err = errors.Join(
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: device.Index}),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20),
		unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
			&unix.PacketMreq{Ifindex: int32(device.Index), Type: unix.PACKET_MR_PROMISC}),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}),
	)
	if err != nil {
		return 0, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func send(s *control.Send) error {
	fd, err := packetSocket()
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing was buffered
	for _, frame := range s.Frames {
		if _, err := unix.Write(fd, frame); err != nil {
			return fmt.Errorf("send frame: %w", err)
		}
	}
	return nil
}

// capture keeps what arrives until it is stopped.
type capture struct {
	socket int
	ended  chan struct{}
	done   sync.WaitGroup

	frames [][]byte
	seen   int
}

func startCapture() (*capture, error) {
	fd, err := packetSocket()
	if err != nil {
		return nil, err
	}
	c := &capture{socket: fd, ended: make(chan struct{})}
	c.done.Go(c.run)
	return c, nil
}

// run ends with the first silence after stop: what has arrived by then is seen.
func (c *capture) run() {
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(c.socket, buf)
		if err == nil {
			c.seen++
			if len(c.frames) < control.MaxFrames {
				c.frames = append(c.frames, append([]byte(nil), buf[:min(n, 128)]...))
			}
			continue
		}
		select {
		case <-c.ended:
			return
		default:
		}
	}
}

func (c *capture) stop() ([][]byte, int) {
	if c == nil {
		return nil, 0
	}
	close(c.ended)
	c.done.Wait()
	unix.Close(c.socket) //nolint:errcheck // it was only read
	return c.frames, c.seen
}

// upload sends bytes to an echo service and waits until all have come back.
func upload(u *control.Upload, patience time.Duration) error {
	conn, err := net.DialTimeout("tcp", u.To, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() { sent <- writeZeros(conn, u.Bytes) }()
	back, err := io.CopyN(io.Discard, conn, int64(u.Bytes))
	if err != nil {
		return fmt.Errorf("upload: %d of %d bytes came back: %w", back, u.Bytes, err)
	}
	return <-sent
}

func writeZeros(to io.Writer, n int) error {
	zeros := make([]byte, 256<<10)
	for n > 0 {
		written, err := to.Write(zeros[:min(n, len(zeros))])
		if err != nil {
			return err
		}
		n -= written
	}
	return nil
}
