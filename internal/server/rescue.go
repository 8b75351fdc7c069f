package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gabion/gabion"
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
