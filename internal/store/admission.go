package store

import (
	"context"
	"encoding/hex"
	"slices"

	"github.com/gabion/gabion"
)

// A host is known by the certificates of its last join: the one that it joined
// with or renewed from, and the one that it was given last. Two, because the
// answer to a renewal may be lost on its way. A certificate that was stolen before
// its host was deleted or joined again opens nothing.

func fingerprint(certificate [32]byte) string { return hex.EncodeToString(certificate[:]) }

// admit stores a host that has joined with the certificate. One that joins again
// keeps its age.
func (t *txn) admit(name string, certificate [32]byte) error {
	r := hostRecord{Created: now()}
	kv, err := t.get(hostKey(name))
	if err != nil {
		return err
	}
	if kv != nil {
		if r, err = valueOf[hostRecord](kv); err != nil {
			return err
		}
	}
	r.Certificates = []string{fingerprint(certificate)}
	return t.put(hostKey(name), r)
}

// AdmitHost is nil if the host is there and known by the certificate (SHA-256). It
// is not found if it was deleted, and forbidden with another certificate.
func (s *Store) AdmitHost(ctx context.Context, name string, certificate [32]byte) error {
	_, err := s.transact(ctx, "admit host", func(t *txn) error {
		_, err := t.admitted(name, certificate)
		return err
	})
	return err
}

// RenewHost lets the host that has the certificate current be known by next, too. It is
// no change that somebody asks for and awaits, so it has a record and no operation.
func (s *Store) RenewHost(ctx context.Context, name string, current, next [32]byte) error {
	leave, err := s.lanes.enter(ctx, gabion.InstallationLog)
	if err != nil {
		return err
	}
	defer leave()
	_, err = s.transact(ctx, "renew host", func(t *txn) error {
		r, err := t.admitted(name, current)
		if err != nil {
			return err
		}
		if err := t.record(gabion.InstallationLog, entryBy(gabion.ActorOf(ctx), "renew-host", name)); err != nil {
			return err
		}
		r.Certificates = []string{fingerprint(current), fingerprint(next)}
		return t.put(hostKey(name), r)
	})
	return err
}

func (t *txn) admitted(name string, certificate [32]byte) (hostRecord, error) {
	kv, err := t.get(hostKey(name))
	if err != nil {
		return hostRecord{}, err
	}
	if kv == nil {
		return hostRecord{}, gabion.NotFound("host", name)
	}
	r, err := valueOf[hostRecord](kv)
	if err == nil && !slices.Contains(r.Certificates, fingerprint(certificate)) {
		err = gabion.Forbidden("host %q has joined again since this certificate was made: to join once more, remove identity.pem from the state directory and start the agent with a new token", name)
	}
	return r, err
}
