package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/pki"
	"github.com/gabion/gabion/internal/store"
)

// RecoverKey makes an operator's key without one: whoever can read the data
// directory of a server can do more than that anyway.
func RecoverKey(ctx context.Context, c Config) (key gabion.Key, err error) {
	err = withStore(ctx, c, func(s *store.Store) error {
		key, err = s.RecoverKey(ctx)
		return err
	})
	return key, err
}

// RenewEpoch begins a new line of history in a store that was restored.
func RenewEpoch(ctx context.Context, c Config) error {
	return withStore(ctx, c, func(s *store.Store) error { return s.RenewEpoch(ctx) })
}

// DropAuthority forgets the installation's authority and removes its files from the
// data directory: the next server that starts makes another one, and hosts have to
// join again. No server of the installation may run.
func DropAuthority(ctx context.Context, c Config) error {
	if err := c.refuseServed(); err != nil {
		return err
	}
	if err := withStore(ctx, c, func(s *store.Store) error { return s.Disown(ctx) }); err != nil {
		return err
	}
	for _, name := range []string{pki.CAFile, caKeyFile, "server.pem", "server.key"} {
		if err := os.Remove(filepath.Join(c.DataDir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the old authority: %w", err)
		}
	}
	return nil
}

// refuseServed refuses a data directory whose server runs: it would go on with what
// it has in memory. Of servers on a cluster nothing is known.
func (c *Config) refuseServed() error {
	if len(c.EtcdEndpoints) > 0 {
		return nil
	}
	m, err := store.OpenMember(c.DataDir, c.Log)
	if err != nil {
		return err
	}
	if m.Served() {
		return fmt.Errorf("a server runs on %s: stop it first", c.DataDir)
	}
	return m.Close()
}

// withStore does something with the store of a data directory, beside its server or
// without one.
func withStore(ctx context.Context, c Config, do func(*store.Store) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := c.checkEtcd(); err != nil {
		return err
	}
	secret := filepath.Join(c.DataDir, secretFile)
	if _, err := os.Stat(secret); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not there: name the data directory of a server with --data-dir", secret)
	}
	endpoints := c.EtcdEndpoints
	if len(endpoints) == 0 {
		m, err := store.OpenMember(c.DataDir, c.Log)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, m.Close()) }()
		endpoints = []string{m.Endpoint()}
	}
	s, err := c.connect(ctx, endpoints)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if _, err := s.Owned(ctx); err != nil {
		return err
	}
	return do(s)
}

// connect opens the store that the endpoints are of.
func (c *Config) connect(ctx context.Context, endpoints []string) (*store.Store, error) {
	secure, err := c.etcdTLS()
	if err != nil {
		return nil, err
	}
	sealer, err := store.LoadSealer(filepath.Join(c.DataDir, secretFile))
	if err != nil {
		return nil, err
	}
	s, err := store.Connect(ctx, store.Config{Endpoints: endpoints, TLS: secure, Sealer: sealer, Log: c.Log})
	if err != nil {
		return nil, explainEtcd(ctx, endpoints, secure, err)
	}
	return s, nil
}
