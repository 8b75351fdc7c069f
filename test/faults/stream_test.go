package faults_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gabion/gabion/internal/lab"
)

// stream is numbered packets from one endpoint to another. Only what was handed to
// the network counts as sent.
type stream struct {
	name    string
	allowed bool
	rate    int // packets a second that are tried for
	from    *lab.Endpoint
	to      netip.AddrPort
	source  sourcePort
	id      uint16

	sent    atomic.Uint64
	got     tally
	clock   []time.Time // when every clockEvery-th packet was sent
	failure error       // why one could not be sent
	lasted  time.Duration
}

// sourcePort is that of the n-th packet: always the same, or one of many.
type sourcePort func(n uint64) uint16

func fixed(port uint16) sourcePort { return func(uint64) uint16 { return port } }

// everyPort makes each packet the first of a flow, but for those long forgotten.
func everyPort(n uint64) uint16 { return uint16(20000 + n%16384) }

const (
	tick       = 2 * time.Millisecond
	mostAtOnce = 100 // packets; a sender that was kept from sending does not make up for more
	clockEvery = 8
)

// run sends until stop is closed. It may be run again.
func (s *stream) run(stop <-chan struct{}) {
	fd, err := rawSocket(s.from)
	if err != nil {
		s.failure = err
		return
	}
	defer unix.Close(fd)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	begun, first := time.Now(), s.sent.Load()
	defer func() { s.lasted = time.Since(begun) }()
	for skipped := uint64(0); ; {
		select {
		case <-stop:
			return
		case now := <-ticker.C:
			due := first + uint64(now.Sub(begun).Seconds()*float64(s.rate)) - skipped
			if ahead := due - min(due, s.sent.Load()); ahead > mostAtOnce {
				skipped += ahead - mostAtOnce
				due -= ahead - mostAtOnce
			}
			for s.sent.Load() < due {
				if err := s.send(fd); err != nil {
					s.failure = err
					skipped++
					due--
				}
			}
		}
	}
}

func (s *stream) send(fd int) error {
	n := s.sent.Load()
	s.stamp(n)
	packet := datagram(netip.AddrPortFrom(s.from.Addr4, s.source(n)), s.to, s.id, n)
	err := unix.Sendto(fd, packet, 0, &unix.SockaddrInet4{Addr: s.to.Addr().As4()})
	if err != nil {
		return fmt.Errorf("send %s: %w", s.name, err)
	}
	s.sent.Add(1)
	return nil
}

// stamp notes when the n-th packet is sent. Only one goroutine sends.
func (s *stream) stamp(n uint64) {
	if n%clockEvery == 0 && n/clockEvery == uint64(len(s.clock)) {
		s.clock = append(s.clock, time.Now())
	}
}

// at is about when the packet was sent.
func (s *stream) at(number uint64) time.Time { return s.clock[number/clockEvery] }

// lost are the packets that were sent and did not arrive.
func (s *stream) lost() []uint64 { return s.got.missing(s.sent.Load()) }

// wrong are the packets that arrived and should not have, or did not and should have.
func (s *stream) wrong() []uint64 {
	if s.allowed {
		return s.lost()
	}
	return s.got.arrived()
}

// held is how many packets a second were sent in fact.
func (s *stream) held() float64 {
	if s.rate == 0 {
		return 0 // it answers
	}
	return float64(s.sent.Load()) / max(s.lasted.Seconds(), 0.001)
}

// rawSocket sends whole IPv4 packets from the endpoint, and hears nothing.
func rawSocket(e *lab.Endpoint) (fd int, err error) {
	err = e.Namespace().Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		return err
	})
	return fd, err
}

const (
	mark       = 0x67626674
	headers    = 20 + 8
	numberSize = 4 + 2 + 8
)

// datagram is an IPv4 packet with a UDP datagram without checksum; the kernel fills in
// the length and checksum of IP.
func datagram(from, to netip.AddrPort, stream uint16, number uint64) []byte {
	p := append(make([]byte, headers), payload(stream, number)...)
	p[0], p[8], p[9] = 0x45, 64, unix.IPPROTO_UDP
	copy(p[12:], from.Addr().AsSlice())
	copy(p[16:], to.Addr().AsSlice())
	binary.BigEndian.PutUint16(p[20:], from.Port())
	binary.BigEndian.PutUint16(p[22:], to.Port())
	binary.BigEndian.PutUint16(p[24:], 8+numberSize)
	return p
}

// payload says which packet of which stream it is.
func payload(stream uint16, number uint64) []byte {
	p := binary.BigEndian.AppendUint32(nil, mark)
	p = binary.BigEndian.AppendUint16(p, stream)
	return binary.BigEndian.AppendUint64(p, number)
}

// receiveBuffer holds what arrives while the receiver is kept from reading.
const receiveBuffer = 64 << 20

// receiver takes the datagrams that come to a port of an endpoint.
type receiver struct {
	conn    *net.UDPConn
	streams map[uint16]*stream
	echo    func(*stream, uint64, netip.AddrPort) // answers; may be nil
}

func listen(e *lab.Endpoint, port uint16, streams map[uint16]*stream) (*receiver, error) {
	r := &receiver{streams: streams}
	err := e.Namespace().Do(func() (err error) {
		r.conn, err = net.ListenUDP("udp4", &net.UDPAddr{Port: int(port)})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("receive at %s: %w", e.Name, err)
	}
	raw, err := r.conn.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, r.conn.Close())
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer)
	})
	return r, errors.Join(err, failed)
}

// run notes what arrives until the receiver is closed.
func (r *receiver) run() {
	buffer := make([]byte, 2048)
	for {
		n, from, err := r.conn.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n != numberSize || binary.BigEndian.Uint32(buffer) != mark {
			continue
		}
		s, number := r.streams[binary.BigEndian.Uint16(buffer[4:])], binary.BigEndian.Uint64(buffer[6:])
		if s == nil {
			continue
		}
		s.got.note(number)
		if r.echo != nil {
			r.echo(s, number, from)
		}
	}
}
