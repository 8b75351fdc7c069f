package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
)

// listen opens the sockets that the server has, each with its bound on connections.
func (s *Server) listen(context.Context) (err error) {
	limits := s.config.Limits
	if s.listener, err = s.open(s.config.Listen, "--listen", limits.PerAddress); err != nil {
		return err
	}
	if s.agents, err = s.open(s.config.AgentListen, "--agent-listen", agentsPerAddress); err != nil {
		return err
	}
	if s.config.ListenHTTP == "" {
		return nil
	}
	// All come from this machine there, a proxy's clients too.
	if s.plain, err = s.open(s.config.ListenHTTP, "--listen-http", limits.Connections); err != nil {
		return err
	}
	return nil
}

func (s *Server) open(address, flag string, perAddress int) (net.Listener, error) {
	l, err := listen(address, flag)
	if err != nil {
		return nil, err
	}
	s.onClose(l.Close)
	return newGate(l, s.config.Limits.Connections, perAddress), nil
}

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
