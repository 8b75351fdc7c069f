package server

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// listen opens a socket. Its error says in one line what to do.
func listen(address, flag string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	unknown := new(net.DNSError)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is taken: stop what listens there, or choose another address with %s", address, flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.As(err, &unknown):
		return nil, fmt.Errorf("%s is not an address of this machine: choose one with %s", address, flag)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s is a port for root only: choose one from 1024 with %s", address, flag)
	case err != nil:
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return l, nil
}
