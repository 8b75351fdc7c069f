package faults_test

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gabion/gabion/internal/lab"
)

// wire notes when the kernel of an endpoint got the last TCP payload of each connection
// to or from the web port, by the other port. The kernel's clock is the test's.
type wire struct {
	file *os.File
	done chan struct{}

	mu   sync.Mutex
	last map[uint16]time.Time
}

// watch begins to note what arrives at the endpoint.
func watch(t *testing.T, e *lab.Endpoint) *wire {
	t.Helper()
	w := &wire{last: map[uint16]time.Time{}, done: make(chan struct{})}
	must(t, e.Namespace().Do(func() error {
		link, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		w.file = os.NewFile(uintptr(fd), e.Name)
		kind := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_IP))
		return errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: kind, Ifindex: link.Index}),
		)
	}))
	go w.run()
	t.Cleanup(func() {
		w.file.Close() //nolint:errcheck // nobody uses it any more
		<-w.done
	})
	return w
}

func (w *wire) run() {
	defer close(w.done)
	raw, err := w.file.SyscallConn()
	if err != nil {
		return
	}
	packet, control := make([]byte, 2048), make([]byte, 256)
	for {
		var n, controlled int
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			n, controlled, _, _, failed = unix.Recvmsg(int(fd), packet, control, 0)
			return !errors.Is(failed, unix.EAGAIN)
		})
		if err != nil {
			return
		}
		if port, is := webPayload(packet[:n]); is && failed == nil {
			w.note(port, stampOf(control[:controlled]))
		}
	}
}

func (w *wire) note(port uint16, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last[port] = at
}

// since are the last payloads that came later.
func (w *wire) since(then time.Time) (all []time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, last := range w.last {
		if last.After(then) {
			all = append(all, last)
		}
	}
	return all
}

// webPayload tells whether the IPv4 packet has TCP payload to or from the web port, and
// what the other port is.
func webPayload(p []byte) (other uint16, is bool) {
	if len(p) < 40 || p[9] != unix.IPPROTO_TCP {
		return 0, false
	}
	header := int(p[0]&15) * 4
	tcp := p[header:]
	from, to := binary.BigEndian.Uint16(tcp), binary.BigEndian.Uint16(tcp[2:])
	if from != webPort && to != webPort {
		return 0, false
	}
	size := int(binary.BigEndian.Uint16(p[2:])) - header - int(tcp[12]>>4)*4
	return from ^ to ^ webPort, size > 0
}

// stampOf is when the kernel got the packet.
func stampOf(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Time{}
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= 16 {
			stamp := (*unix.Timespec)(unsafe.Pointer(&m.Data[0]))
			return time.Unix(stamp.Unix())
		}
	}
	return time.Time{}
}
