package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/gabion/gabion/client/rest"
	"github.com/gabion/gabion/internal/lab"
)

const (
	// silence is how long a connection is listened to that should be cut.
	silence = time.Second

	// resumption is how long TCP may take to send again what was dropped.
	resumption = 10 * time.Second
)

// revoke shows that a removed rule ends connections that it had admitted.
func (d *demo) revoke(ctx context.Context) error {
	d.step("A removed rule cuts the connections that it had admitted")
	conns, err := d.openWeb(ctx)
	if err != nil {
		return err
	}
	for _, c := range conns {
		defer c.Close()
		d.check(echoes(c, "before", resumption), "a connection to %s is open", c.RemoteAddr())
	}
	isWeb := func(r rest.SecurityGroupRule) bool { return r.StartPort == 80 }
	if err := d.deleteRules(ctx, loadBalancers, isWeb); err != nil {
		return err
	}
	for _, c := range conns {
		d.check(!echoes(c, "after", silence), "nothing comes back from %s any more", c.RemoteAddr())
	}
	results, err := d.try(ctx, everyPair([]*lab.Endpoint{d.lab.Outside}, []*lab.Endpoint{d.guests["lb1"].Endpoint}))
	if err != nil {
		return err
	}
	d.results(results, "new connections from outside")
	if err := d.gabion(ctx, append([]string{"rule", "add"}, webRule...)...); err != nil {
		return err
	}
	for _, c := range conns {
		d.check(hears(c, "after", resumption), "the same connection to %s goes on", c.RemoteAddr())
	}
	return nil
}

// openWeb connects to a load balancer over both families.
func (d *demo) openWeb(ctx context.Context) ([]net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, resumption)
	defer cancel()
	var conns []net.Conn
	for _, a := range d.guests["lb1"].Addresses() {
		c, err := d.lab.Outside.Dial(ctx, netip.AddrPortFrom(a, 80))
		if err != nil {
			return nil, fmt.Errorf("open connection: %w", err)
		}
		conns = append(conns, c)
	}
	return conns, nil
}

// echoes tells whether what is sent comes back in time.
func echoes(c net.Conn, text string, within time.Duration) bool {
	if _, err := c.Write([]byte(text)); err != nil {
		return false
	}
	return hears(c, text, within)
}

func hears(c net.Conn, text string, within time.Duration) bool {
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		return false
	}
	got := make([]byte, len(text))
	n, err := io.ReadFull(c, got)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	return err == nil && string(got[:n]) == text
}
