package store

import (
	"context"

	"github.com/gabion/gabion"
)

// RecoverKey makes an operator's key in the organization that the store was born
// with, for who has lost all of them and has the store. admin.env is about it from
// then on. It counts in no quota.
func (s *Store) RecoverKey(ctx context.Context) (gabion.Key, error) {
	born, err := s.born(ctx)
	if err != nil {
		return gabion.Key{}, err
	}
	key := operatorOf(born.Organization)
	born.Key = key.ID
	_, err = s.transact(ctx, "recover operator's key", func(t *txn) error {
		if _, err := t.organization(born.Organization); err != nil {
			return err
		}
		e := local("recover-operator-key")
		e.Subject = key.ID
		if err := t.record(born.Organization, e); err != nil {
			return err
		}
		if err := t.putNewKey(key, s.sealer); err != nil {
			return err
		}
		return t.put(bootstrapKey, born)
	})
	return key, err
}

// operatorOf is a new operator's key.
func operatorOf(org string) gabion.Key {
	return gabion.Key{
		ID: newKeyID(), Secret: newSecret(), Name: "operator", Organization: org,
		Scopes: []gabion.Scope{gabion.ScopeAdmin}, Operator: true, Created: now(),
	}
}

// putNewKey stores a key that nobody has yet.
func (t *txn) putNewKey(k gabion.Key, sealer *Sealer) error {
	if err := t.put(keyIndexKey(k.ID), holder{Organization: k.Organization}); err != nil {
		return err
	}
	return t.putKey(k, sealer.seal(k.Secret, k.ID))
}
