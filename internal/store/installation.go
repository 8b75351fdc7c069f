package store

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/gabion/gabion"
)

const installationKey = root + "meta/installation"

// proof is what is sealed to tell the installation's secret key from others.
const proof = "the installation's secret key"

// installationRecord is what all servers of one installation have in common.
type installationRecord struct {
	Authority string `json:"authority"` // SHA-256 of its certificate, hexadecimal
	Proof     []byte `json:"proof"`     // sealed
}

// ErrStranger says that a server's files are not those of the installation.
var ErrStranger = errors.New("the data directory is not of the installation that this store belongs to: copy ca.pem, ca.key and secret from the data directory of one of its servers, then start again")

func (s *Store) decodeInstallation(kv *mvccpb.KeyValue) (installationRecord, error) {
	var r installationRecord
	if err := json.Unmarshal(kv.Value, &r); err != nil {
		return r, fmt.Errorf("decode %s: %w", kv.Key, err)
	}
	if _, err := s.sealer.open(r.Proof, "installation"); err != nil {
		return r, ErrStranger
	}
	return r, nil
}

// Owned tells whether the store belongs to an installation already. It refuses a
// server that has another secret key than that.
func (s *Store) Owned(ctx context.Context) (bool, error) {
	kv, err := s.get(ctx, installationKey)
	if err != nil || kv == nil {
		return false, err
	}
	_, err = s.decodeInstallation(kv)
	return err == nil, err
}

// Own makes the store the installation's of that authority (SHA-256 of its
// certificate), and refuses if it is another's: servers of two authorities on one
// store would turn each other's hosts away.
func (s *Store) Own(ctx context.Context, authority [32]byte) error {
	name := hex.EncodeToString(authority[:])
	_, err := s.transact(ctx, "own the store", func(t *txn) error {
		kv, err := t.get(installationKey)
		if err != nil {
			return err
		}
		if kv == nil {
			return t.put(installationKey, installationRecord{Authority: name, Proof: s.sealer.seal(proof, "installation")})
		}
		r, err := s.decodeInstallation(kv)
		if err == nil && r.Authority != name {
			err = ErrStranger
		}
		return err
	})
	return err
}

// Disown lets the next server that starts own the store, with an authority of its own.
func (s *Store) Disown(ctx context.Context) error {
	_, err := s.transact(ctx, "disown the store", func(t *txn) error {
		t.delete(installationKey)
		return t.record(gabion.InstallationLog, local("drop-authority"))
	})
	return err
}
