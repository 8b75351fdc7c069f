package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gabion/gabion/internal/lab"
)

// All of a connection is done by one thread, which holds the sockets of both
// guests: what one end sends has arrived at the other when the call returns, so
// that hardly anything ever waits.

// forgetConnections lets a guest use the ports of ended connections at once.
func forgetConnections(g *lab.Guest) error {
	return g.Namespace().Do(func() error {
		return os.WriteFile("/proc/sys/net/ipv4/tcp_max_tw_buckets", []byte("0"), 0)
	})
}

// listen makes the receiver listen at a port.
func (s *scene) listen(at uint16) (listener int, err error) {
	err = s.receiver.Namespace().Do(func() error {
		if listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return errors.Join(
			unix.SetsockoptInt(listener, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
			unix.Bind(listener, &unix.SockaddrInet4{Port: int(at)}),
			unix.Listen(listener, 128),
		)
	})
	if err != nil {
		return 0, fmt.Errorf("listen at port %d: %w", at, err)
	}
	return listener, nil
}

// connection is both ends of one.
type connection struct{ sender, receiver int }

// connect must be called within the sender's namespace. The error is EAGAIN if
// the receiver hears nothing.
func connect(to netip.AddrPort, listener int) (connection, error) {
	sender, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return connection{}, err
	}
	err = unix.Connect(sender, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return connection{}, errors.Join(fmt.Errorf("connect to %s: %w", to, err), unix.Close(sender))
	}
	receiver, err := accept(listener)
	if errors.Is(err, unix.EAGAIN) && await(listener, unix.POLLIN) == nil {
		receiver, err = accept(listener)
	}
	if err != nil {
		return connection{}, errors.Join(fmt.Errorf("accept: %w", err), unix.Close(sender))
	}
	return connection{sender, receiver}, nil
}

func accept(listener int) (int, error) {
	socket, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	return socket, err
}

// close ends the connection as two peers do that have no more to say.
func (c connection) close() error {
	return errors.Join(unix.Close(c.sender), unix.Close(c.receiver))
}

// listening calls f within the sender's namespace, on the core of all traffic.
func (s *scene) listening(at uint16, f func(to netip.AddrPort, listener int) error) error {
	listener, err := s.listen(at)
	if err != nil {
		return err
	}
	defer unix.Close(listener) //nolint:errcheck // nothing was buffered
	return s.sender.Namespace().Do(func() error {
		if err := pin(core); err != nil {
			return err
		}
		return f(netip.AddrPortFrom(s.receiving, at), listener)
	})
}

// connected calls f with a connection.
func (s *scene) connected(f func(connection) error) error {
	return s.listening(port, func(to netip.AddrPort, listener int) error {
		c, err := connect(to, listener)
		if err != nil {
			return err
		}
		return errors.Join(f(c), c.close())
	})
}

func connects(s *scene, _ source, to uint16) (passes bool, err error) {
	err = s.listening(to, func(to netip.AddrPort, listener int) error {
		c, err := connect(to, listener)
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		passes = err == nil
		return errors.Join(err, c.close())
	})
	return passes, err
}

// connecting measures how many connections a second are made, accepted and ended.
func connecting(s *scene) ([]figure, error) {
	var rate float64
	err := s.listening(port, func(to netip.AddrPort, listener int) (err error) {
		rate, err = repeat(func() (int, error) {
			c, err := connect(to, listener)
			if err != nil {
				return 0, err
			}
			return 1, c.close()
		})
		return err
	})
	return []figure{{"connections", "1/s", rate}}, err
}

// pingPong measures how long a few bytes take there and back.
func pingPong(s *scene) ([]figure, error) {
	var trips []time.Duration
	err := s.connected(func(c connection) error {
		message := make([]byte, 64)
		_, err := repeat(func() (int, error) {
			start := time.Now()
			err := errors.Join(pass(c.sender, c.receiver, message), pass(c.receiver, c.sender, message))
			trips = append(trips, time.Since(start))
			return 1, err
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(trips)
	return []figure{{"latency/p50", "µs", micros(trips[len(trips)/2])}, {"latency/p99", "µs", micros(trips[len(trips)*99/100])}}, nil
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

func pass(from, to int, message []byte) error {
	if _, err := unix.Write(from, message); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	_, err := unix.Read(to, message)
	if errors.Is(err, unix.EAGAIN) && await(to, unix.POLLIN) == nil {
		_, err = unix.Read(to, message)
	}
	if err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	return nil
}

// repeat calls f until a sample is full. The rate is how much f did a second.
func repeat(f func() (int, error)) (rate float64, err error) {
	for end := time.Now().Add(settle); time.Now().Before(end); {
		if _, err := f(); err != nil {
			return 0, err
		}
	}
	done, start := 0, time.Now()
	for end := start.Add(sample); time.Now().Before(end); {
		n, err := f()
		if err != nil {
			return 0, err
		}
		done += n
	}
	return float64(done) / time.Since(start).Seconds(), nil
}
