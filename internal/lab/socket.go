package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// socket makes a non-blocking socket in the namespace and lets set do what has to
// be done with it there. The file may be used from any goroutine and knows
// deadlines.
func (n *Namespace) socket(domain, kind, protocol int, set func(fd int) error) (*os.File, error) {
	var fd int
	err := n.Do(func() (err error) {
		fd, err = unix.Socket(domain, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
		if err != nil {
			return fmt.Errorf("make socket in %s: %w", n.Name, err)
		}
		if err := set(fd); err != nil {
			return errors.Join(err, unix.Close(fd))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), n.Name), nil
}

// connect makes a socket that is connected to the address by the deadline, which
// then holds for everything else done with it.
func (e *Endpoint) connect(to netip.AddrPort, kind, protocol int, deadline time.Time) (*os.File, error) {
	domain, addr := sockaddr(to)
	f, err := e.namespace.socket(domain, kind, protocol, func(fd int) error {
		if err := unix.Connect(fd, addr); err != nil && !errors.Is(err, unix.EINPROGRESS) {
			return fmt.Errorf("connect %s to %s: %w", e.Name, to, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	await := awaitConnected
	if kind != unix.SOCK_STREAM {
		await = func(*os.File) error { return nil } // connected at once
	}
	if err := errors.Join(f.SetDeadline(deadline), await(f)); err != nil {
		return nil, errors.Join(fmt.Errorf("connect %s to %s: %w", e.Name, to, err), f.Close())
	}
	return f, nil
}

// awaitConnected returns as soon as the socket is connected, or never will be.
func awaitConnected(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		code, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && code != 0 {
			err = unix.Errno(code)
		}
		if err != nil {
			failed = err
			return true
		}
		_, err = unix.Getpeername(int(fd))
		return err == nil
	})
	return errors.Join(err, failed)
}

func sockaddr(a netip.AddrPort) (domain int, addr unix.Sockaddr) {
	if a.Addr().Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}
