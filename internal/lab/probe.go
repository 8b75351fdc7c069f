package lab

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gabion/gabion"
)

// probeTime is how long a probe waits for its answer. It is shorter than the
// second after which TCP repeats itself, so that a lost packet shows.
const probeTime = 900 * time.Millisecond

// Probe asks one question: does it get through?
type Probe struct {
	From, To *Endpoint
	Protocol gabion.Protocol // TCP, UDP, ICMP or ICMPv6; the last means IPv6
	IPv6     bool            // of TCP and UDP
	Port     uint16          // of TCP and UDP; To serves it
	Size     int             // of what is sent, in bytes; at least that of a token. Large datagrams are fragmented
}

func (p Probe) String() string {
	s := fmt.Sprintf("%s → %s %s", p.From.Name, p.To.Name, p.Protocol)
	if p.Protocol.HasPorts() {
		s = fmt.Sprintf("%s/%d", s, p.Port)
		if p.IPv6 {
			s += " over IPv6"
		}
	}
	if p.Size > 0 {
		s = fmt.Sprintf("%s, %d bytes", s, p.Size)
	}
	return s
}

// Source is the address that the probe comes from.
func (p Probe) Source() netip.Addr { return p.address(p.From) }

// Destination is the address that the probe goes to.
func (p Probe) Destination() netip.Addr { return p.address(p.To) }

func (p Probe) address(e *Endpoint) netip.Addr {
	if p.IPv6 || p.Protocol == gabion.ICMPv6 {
		return e.Addr6
	}
	return e.Addr4
}

// Try makes all probes at once and tells which ones were answered, in order.
func Try(ctx context.Context, probes ...Probe) ([]bool, error) {
	passed := make([]bool, len(probes))
	errs := make([]error, len(probes))
	var wait sync.WaitGroup
	for i, p := range probes {
		wait.Go(func() { passed[i], errs[i] = p.try(ctx) })
	}
	wait.Wait()
	return passed, errors.Join(errs...)
}

// try tells whether the answer came back. Silence is an answer as well; what is
// neither is an error: a probe that can't be made, or a port that nobody serves.
func (p Probe) try(ctx context.Context) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	kind, protocol := p.socketType()
	f, err := p.From.connect(netip.AddrPortFrom(p.Destination(), p.Port), kind, protocol, time.Now().Add(probeTime))
	if err == nil {
		err = errors.Join(p.exchange(f), f.Close())
	}
	if isSilence(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("probe %s: %w", p, err)
	}
	return true, nil
}

func (p Probe) socketType() (kind, protocol int) {
	switch p.Protocol {
	case gabion.TCP:
		return unix.SOCK_STREAM, unix.IPPROTO_TCP
	case gabion.ICMP:
		return unix.SOCK_DGRAM, unix.IPPROTO_ICMP
	case gabion.ICMPv6:
		return unix.SOCK_DGRAM, unix.IPPROTO_ICMPV6
	default:
		return unix.SOCK_DGRAM, unix.IPPROTO_UDP
	}
}

// isSilence tells that the network did not answer, also by not resolving a neighbour.
func isSilence(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, unix.EHOSTUNREACH)
}

var tokens atomic.Uint64

// exchange sends a token that nobody else sends, filled up to the probe's size,
// and wants it back.
func (p Probe) exchange(f *os.File) error {
	token := binary.BigEndian.AppendUint64([]byte("gabion"), tokens.Add(1))
	token = append(token, make([]byte, max(0, p.Size-len(token)))...)
	header := echoHeader(p.Protocol)
	if _, err := f.Write(append(header, token...)); err != nil {
		return err
	}
	answer := make([]byte, len(header)+len(token))
	read := io.ReadFull
	if p.Protocol != gabion.TCP {
		read = func(r io.Reader, b []byte) (int, error) { return r.Read(b) } // one datagram
	}
	n, err := read(f, answer)
	if err != nil {
		return err
	}
	if got := answer[min(len(header), n):n]; !bytes.Equal(got, token) {
		return fmt.Errorf("an answer of %d bytes is not what was sent", n)
	}
	return nil
}

// echoHeader is what stands before the payload in an echo request: type, code,
// and checksum, identifier and sequence number, which are the kernel's part.
func echoHeader(p gabion.Protocol) []byte {
	switch p {
	case gabion.ICMP:
		return []byte{8, 0, 0, 0, 0, 0, 0, 1}
	case gabion.ICMPv6:
		return []byte{128, 0, 0, 0, 0, 0, 0, 1}
	default:
		return nil
	}
}
