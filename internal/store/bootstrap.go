package store

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/gabion/gabion"
)

// bootstrapRecord says what the first start of a server made.
type bootstrapRecord struct {
	Organization string `json:"organization"`
	Key          string `json:"key"` // id of the operator's API key
}

func decodeBootstrap(kv *mvccpb.KeyValue) (bootstrapRecord, error) {
	var r bootstrapRecord
	if err := json.Unmarshal(kv.Value, &r); err != nil {
		return bootstrapRecord{}, fmt.Errorf("decode %s: %w", kv.Key, err)
	}
	return r, nil
}

type organizationRecord struct {
	Name string `json:"name"`
}

// Bootstrap makes what a store is born with: its epoch, the organization
// "default" with its default group, and an operator's API key. It returns the
// organization's id and the key, also when they were made before.
func (s *Store) Bootstrap(ctx context.Context) (org string, key gabion.Key, err error) {
	var made bootstrapRecord
	_, err = s.transact(ctx, "bootstrap the store", func(t *txn) error {
		kv, err := t.get(bootstrapKey)
		if err != nil {
			return err
		}
		if kv != nil {
			made, err = decodeBootstrap(kv)
			return err
		}
		made = bootstrapRecord{Organization: uuid.NewString(), Key: newKeyID()}
		return t.bootstrap(made, s.sealer)
	})
	if err != nil {
		return "", gabion.Key{}, err
	}
	key, err = s.Key(ctx, made.Key)
	return made.Organization, key, err
}

func (t *txn) bootstrap(made bootstrapRecord, sealer *Sealer) error {
	if err := t.put(schemaKey, json.RawMessage(schema)); err != nil {
		return err
	}
	if err := t.put(epochKey, uuid.NewString()); err != nil {
		return err
	}
	if err := t.createOrganization(made.Organization, "default"); err != nil {
		return err
	}
	key := gabion.Key{
		ID: made.Key, Secret: newSecret(), Name: "operator", Organization: made.Organization, Operator: true, Created: now(),
	}
	if err := t.putAPIKey(key, sealer); err != nil {
		return err
	}
	return t.put(bootstrapKey, made)
}

// createOrganization makes an organization as all are born: with a group called
// default, without rules, that is the primary one.
func (t *txn) createOrganization(id, name string) error {
	if err := t.put(organizationKey(id), organizationRecord{Name: name}); err != nil {
		return err
	}
	group := gabion.Group{
		ID: uuid.NewString(), Organization: id, Name: gabion.DefaultGroupName,
		Description: "Default Security Group", Created: now(),
	}
	if err := t.createGroup(group); err != nil {
		return err
	}
	return t.put(primaryKey(id), holder{ID: group.ID})
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

// RenewEpoch begins a new line of history. Call it after a restore.
func (s *Store) RenewEpoch(ctx context.Context) error {
	_, err := s.transact(ctx, "renew store epoch", func(t *txn) error { return t.put(epochKey, uuid.NewString()) })
	return err
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
