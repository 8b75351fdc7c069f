package server

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gabion/gabion/internal/pki"
	"github.com/gabion/gabion/internal/store"
)

// What all servers of one installation have alike in their data directories, beside
// the store.
const (
	secretFile = "secret"
	caKeyFile  = "ca.key"
)

// checkOwner refuses a server that brings files of another installation, or none,
// before it makes any of its own.
func (s *Server) checkOwner(ctx context.Context) error {
	owned, err := s.store.Owned(ctx)
	if err != nil || !owned {
		return err
	}
	if _, err := os.Stat(filepath.Join(s.config.DataDir, pki.CAFile)); errors.Is(err, fs.ErrNotExist) {
		return store.ErrStranger
	}
	return nil
}

// openAuthority is the installation's authority, which the first server's first
// start makes.
func (s *Server) openAuthority(ctx context.Context) (*pki.CA, error) {
	ca, err := pki.OpenCA(s.config.DataDir)
	if err != nil {
		return nil, err
	}
	return ca, s.store.Own(ctx, ca.Hash())
}
