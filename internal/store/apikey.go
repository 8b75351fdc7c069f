package store

import (
	"context"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/gabion/gabion"
)

type keyRecord struct {
	Secret       []byte         `json:"secret,omitempty"` // sealed
	Name         string         `json:"name"`
	Organization string         `json:"organization,omitempty"` // of a record that an older store has in the index
	Scopes       []gabion.Scope `json:"scopes"`
	Operator     bool           `json:"operator,omitempty"`
	Created      time.Time      `json:"created"`
	Expires      time.Time      `json:"expires,omitzero"`
}

// decodeKey makes a key of its record, without its secret.
func decodeKey(kv *mvccpb.KeyValue) (gabion.Key, error) {
	r, err := valueOf[keyRecord](kv)
	at := placeOf(kv.Key)
	return gabion.Key{
		ID: at.rest, Organization: at.org, Name: r.Name, Scopes: r.Scopes, Operator: r.Operator, Created: r.Created, Expires: r.Expires,
	}, err
}

type usedRecord struct {
	At time.Time `json:"at"`
}

// Key is an API key of any organization, with its secret. It is read as it is at
// this moment: one that was deleted, on whatever server, is not found from then on.
func (s *Store) Key(ctx context.Context, id string) (gabion.Key, error) {
	org, err := s.organizationOfKey(ctx, id)
	if err != nil {
		return gabion.Key{}, err
	}
	found, err := s.gets(ctx, apiKeyKey(org, id), keyUsedKey(org, id), organizationKey(org))
	if err != nil {
		return gabion.Key{}, err
	}
	record, used, owner := found[0], found[1], found[2]
	if record == nil || owner == nil {
		s.keys.Delete(id)
		s.touched.Delete(id)
		return gabion.Key{}, gabion.NotFound("API key", id)
	}
	if _, err := decodeOrganization(owner); err != nil {
		return gabion.Key{}, gabion.NotFound("API key", id)
	}
	return s.openKey(record, used)
}

// organizationOfKey is whose the key is. That is asked once of each key: it does
// not change.
func (s *Store) organizationOfKey(ctx context.Context, id string) (string, error) {
	if org, known := s.keys.Load(id); known {
		return org.(string), nil
	}
	if !isID(id) {
		return "", gabion.NotFound("API key", id)
	}
	kv, err := s.get(ctx, keyIndexKey(id))
	if err != nil {
		return "", err
	}
	if kv == nil {
		return "", gabion.NotFound("API key", id)
	}
	h, err := valueOf[holder](kv)
	if err == nil {
		s.keys.Store(id, h.Organization)
	}
	return h.Organization, err
}

func (s *Store) openKey(record, used *mvccpb.KeyValue) (gabion.Key, error) {
	key, err := decodeKey(record)
	if err != nil {
		return gabion.Key{}, err
	}
	r, err := valueOf[keyRecord](record)
	if err != nil {
		return gabion.Key{}, err
	}
	if used != nil {
		if at, err := valueOf[usedRecord](used); s.readable(used, err) {
			key.LastUsed = at.At
		}
	}
	key.Secret, err = s.sealer.open(r.Secret, key.ID)
	return key, err
}

// Keys are the organization's API keys without their secrets, in order of creation.
func (s *Store) Keys(ctx context.Context, org string) ([]gabion.Key, error) {
	keys, err := all(ctx, s, apiKeysOf(org), decodeKey)
	if err != nil {
		return nil, err
	}
	used := map[string]time.Time{}
	_, err = s.scan(ctx, orgKey(org, "key-used", ""), 0, func(kv *mvccpb.KeyValue) {
		if at, err := valueOf[usedRecord](kv); s.readable(kv, err) {
			used[placeOf(kv.Key).rest] = at.At
		}
	})
	for i := range keys {
		keys[i].LastUsed = used[keys[i].ID]
	}
	return keys, err
}

// CreateKey stores a new API key, of which it makes id and secret.
func (s *Store) CreateKey(ctx context.Context, k gabion.Key) (gabion.Key, error) {
	k.ID, k.Secret, k.Created, k.LastUsed = newKeyID(), newSecret(), now(), time.Time{}
	if err := k.Validate(); err != nil {
		return gabion.Key{}, err
	}
	if k.Expired(k.Created) {
		return gabion.Key{}, gabion.Invalid("expires-at", "%s is past; give a time in the future, or leave it out", k.Expires.Format(time.RFC3339))
	}
	return s.makeKey(ctx, "create-api-key", k, func(t *txn) error { return t.createKey(k, s.sealer) })
}

// makeKey makes a change that k comes from. Of a request that is sent again, that
// is the key of the first time.
func (s *Store) makeKey(ctx context.Context, name string, k gabion.Key, build func(*txn) error) (gabion.Key, error) {
	c := command{org: k.Organization, name: name, kind: keyKind, subject: k.ID, counts: []string{apiKeysOf(k.Organization)}}
	op, err := s.change(ctx, c, build)
	switch {
	case err != nil:
		return gabion.Key{}, err
	case op.Subject != k.ID:
		return s.Key(ctx, op.Subject)
	}
	return k, nil
}

func (t *txn) createKey(k gabion.Key, sealer *Sealer) error {
	if err := t.roomForKey(k.Organization); err != nil {
		return err
	}
	t.after = keySaid(k)
	return t.putNewKey(k, sealer)
}

// putKey writes what changes of a key.
func (t *txn) putKey(k gabion.Key, secret []byte) error {
	if k.Operator {
		if err := t.put(operatorKey(k.ID), operatorRecord{Organization: k.Organization, Expires: k.Expires}); err != nil {
			return err
		}
	}
	return t.put(apiKeyKey(k.Organization, k.ID), keyRecord{
		Secret: secret, Name: k.Name, Scopes: k.Scopes, Operator: k.Operator, Created: k.Created, Expires: k.Expires,
	})
}

// key reads a key inside a transaction, with its sealed secret.
func (t *txn) key(org, id string) (k gabion.Key, secret []byte, err error) {
	k, err = object(t, "API key", id, apiKeyKey(org, id), decodeKey)
	if err != nil {
		return k, nil, err
	}
	r, err := valueOf[keyRecord](t.seen[apiKeyKey(org, id)])
	return k, r.Secret, err
}

// RotateKey makes a successor with the same rights and the same end; the old key
// ends at the time given, if not before.
func (s *Store) RotateKey(ctx context.Context, org, id string, ends time.Time) (gabion.Key, error) {
	old, err := s.Key(ctx, id)
	if err != nil || old.Organization != org {
		return gabion.Key{}, gabion.NotFound("API key", id)
	}
	next := old
	next.ID, next.Secret, next.Created, next.LastUsed = newKeyID(), newSecret(), now(), time.Time{}
	return s.makeKey(ctx, "rotate-api-key", next, func(t *txn) error {
		old, secret, err := t.key(org, id)
		if err != nil {
			return err
		}
		if old.Expired(next.Created) {
			return gabion.Conflict("API key %s expired at %s: make a new one", id, old.Expires.Format(time.RFC3339))
		}
		t.before = keySaid(old)
		if old.Expires.IsZero() || ends.Before(old.Expires) {
			old.Expires = ends.UTC()
		}
		if err := t.putKey(old, secret); err != nil {
			return err
		}
		return t.createKey(next, s.sealer)
	})
}

// DeleteKey deletes a key; not the last one of an operator that has not expired.
func (s *Store) DeleteKey(ctx context.Context, org, id string) (gabion.Operation, error) {
	c := command{org: org, name: "delete-api-key", kind: keyKind, subject: id}
	return s.change(ctx, c, func(t *txn) error {
		k, _, err := t.key(org, id)
		if err != nil {
			return err
		}
		if k.Operator {
			if err := t.retireOperators(func(_ operatorRecord, other string) bool { return other == id }); err != nil {
				return err
			}
		}
		t.before = keySaid(k)
		t.delete(keyIndexKey(id))
		t.delete(keyUsedKey(org, id))
		t.delete(apiKeyKey(org, id))
		return nil
	})
}

// TouchKey stores when the key was last used, to the minute. Within a minute, a
// server writes that once, and asks etcd nothing after that.
func (s *Store) TouchKey(ctx context.Context, id string, used time.Time) error {
	at := used.UTC().Truncate(time.Minute)
	if last, known := s.touched.Load(id); known && !last.(time.Time).Before(at) {
		return nil
	}
	org, err := s.organizationOfKey(ctx, id)
	if err != nil {
		return err
	}
	_, err = s.transact(ctx, "note the use of an API key", func(t *txn) error { return t.touchKey(org, id, at) })
	if err == nil {
		s.touched.Store(id, at)
	}
	return err
}

func (t *txn) touchKey(org, id string, at time.Time) error {
	if err := t.read(apiKeyKey(org, id), keyUsedKey(org, id), organizationKey(org)); err != nil {
		return err
	}
	if _, err := t.organization(org); err != nil || t.seen[apiKeyKey(org, id)] == nil {
		return gabion.NotFound("API key", id)
	}
	if kv := t.seen[keyUsedKey(org, id)]; kv != nil {
		if last, err := valueOf[usedRecord](kv); err == nil && !last.At.Before(at) {
			return nil
		}
	}
	return t.put(keyUsedKey(org, id), usedRecord{At: at})
}
