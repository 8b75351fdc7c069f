package store

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/gabion/gabion"
)

// bootstrapRecord says what the first start of a server made.
type bootstrapRecord struct {
	Organization string `json:"organization"`
	Key          string `json:"key"` // id of the operator's API key
}

// Bootstrap makes what a store is born with: its epoch, the organization
// "default" with its default group, and an operator's API key. It returns the
// organization's id and the key, also when they were made before; no key if that
// was deleted since, or has expired.
func (s *Store) Bootstrap(ctx context.Context) (org string, key gabion.Key, err error) {
	var made bootstrapRecord
	_, err = s.transact(ctx, "bootstrap the store", func(t *txn) error {
		kv, err := t.get(bootstrapKey)
		if err != nil {
			return err
		}
		if kv != nil {
			if made, err = valueOf[bootstrapRecord](kv); err != nil {
				return err
			}
			return t.upgrade(made)
		}
		key := operatorOf(uuid.NewString())
		made = bootstrapRecord{Organization: key.Organization, Key: key.ID}
		return t.bootstrap(made, key, s.sealer)
	})
	if err != nil {
		return "", gabion.Key{}, err
	}
	if err := s.finishRemovals(ctx); err != nil {
		return "", gabion.Key{}, err
	}
	key, err = s.Key(ctx, made.Key)
	if err != nil && gabion.CodeOf(err) == gabion.CodeNotFound || key.Expired(now()) {
		return made.Organization, gabion.Key{}, nil
	}
	return made.Organization, key, err
}

// born is what the first start of a server made.
func (s *Store) born(ctx context.Context) (bootstrapRecord, error) {
	kv, err := s.get(ctx, bootstrapKey)
	if err != nil {
		return bootstrapRecord{}, err
	}
	if kv == nil {
		return bootstrapRecord{}, gabion.Unavailable("the store has not been set up: start a server on it")
	}
	return valueOf[bootstrapRecord](kv)
}

func (t *txn) bootstrap(made bootstrapRecord, key gabion.Key, sealer *Sealer) error {
	if err := t.putSchema(); err != nil {
		return err
	}
	if err := t.put(epochKey, uuid.NewString()); err != nil {
		return err
	}
	first := gabion.Organization{
		ID: made.Organization, Name: "default", Created: key.Created, Quotas: gabion.DefaultQuotas(), Hosts: []string{gabion.AnyHost},
	}
	if err := t.createOrganization(first); err != nil {
		return err
	}
	if err := t.putNewKey(key, sealer); err != nil {
		return err
	}
	return t.put(bootstrapKey, made)
}

// Epoch names the store's line of history. Revisions of two epochs can't be
// compared; a store that was restored from a backup gets a new one.
func (s *Store) Epoch(ctx context.Context) (string, error) {
	kv, err := s.get(ctx, epochKey)
	if err != nil {
		return "", err
	}
	if kv == nil {
		return "", gabion.NotFound("store epoch", "epoch")
	}
	var epoch string
	if err := json.Unmarshal(kv.Value, &epoch); err != nil {
		return "", fmt.Errorf("decode %s: %w", kv.Key, err)
	}
	return epoch, nil
}

// RenewEpoch begins a new line of history, in which hosts take older revisions.
// Call it after a restore. What may have been used up or ended since the backup is
// void: join tokens and sessions.
func (s *Store) RenewEpoch(ctx context.Context) error {
	_, err := s.transact(ctx, "renew store epoch", func(t *txn) error {
		t.deletePrefix(tokenPrefix)
		t.deletePrefix(sessionPrefix)
		if err := t.record(gabion.InstallationLog, local("renew-store-epoch")); err != nil {
			return err
		}
		return t.put(epochKey, uuid.NewString())
	})
	return err
}

// local is what the audit log says of a command on the machine of a server.
func local(action string) gabion.AuditEntry {
	return gabion.AuditEntry{Time: now(), KeyName: "a command on a server's machine", Action: action}
}

// newKeyID is "EXO" and 24 hexadecimal digits: what the public API's clients expect.
func newKeyID() string {
	var id [12]byte
	rand.Read(id[:]) // does not fail
	return fmt.Sprintf("EXO%x", id)
}

func newSecret() string {
	var secret [32]byte
	rand.Read(secret[:]) // does not fail
	return base64.RawURLEncoding.EncodeToString(secret[:])
}
