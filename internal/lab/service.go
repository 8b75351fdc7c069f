package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
)

// service is something that an endpoint answers on.
type service = io.Closer

// Serve makes the endpoint answer on the ports, over both families, with what it
// is sent. Echo requests are answered by its kernel.
func (e *Endpoint) Serve(tcp, udp []uint16) error {
	return e.namespace.Do(func() error {
		for _, port := range tcp {
			l, err := net.Listen("tcp", portOnly(port))
			if err != nil {
				return fmt.Errorf("serve in %s: %w", e.Name, err)
			}
			e.services = append(e.services, l)
			go serveTCP(l)
		}
		for _, port := range udp {
			c, err := net.ListenPacket("udp", portOnly(port))
			if err != nil {
				return fmt.Errorf("serve in %s: %w", e.Name, err)
			}
			e.services = append(e.services, c)
			go serveUDP(c)
		}
		return nil
	})
}

func portOnly(port uint16) string { return ":" + strconv.Itoa(int(port)) }

// serveTCP ends when the listener is closed, and each connection when its peer
// or its namespace goes.
func serveTCP(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			io.Copy(c, c) //nolint:errcheck // how a peer ends is the peer's affair
		}()
	}
}

func serveUDP(c net.PacketConn) {
	buf := make([]byte, 64<<10)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		c.WriteTo(buf[:n], from) //nolint:errcheck // an answer may be lost on the way, too
	}
}

// Dial connects over TCP from the endpoint.
func (e *Endpoint) Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	var conn net.Conn
	err := e.namespace.Do(func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", to.String())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("dial from %s: %w", e.Name, err)
	}
	return conn, nil
}
