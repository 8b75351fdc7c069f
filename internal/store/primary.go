package store

import (
	"context"

	"github.com/gabion/gabion"
)

// PrimaryGroup is the id of the group that a new instance gets if it names none.
func (s *Store) PrimaryGroup(ctx context.Context, org string) (string, error) {
	kv, err := s.get(ctx, primaryKey(org))
	if err != nil {
		return "", err
	}
	if kv == nil {
		return "", gabion.NotFound("organization", org)
	}
	h, err := valueOf[holder](kv)
	return h.ID, err
}

// SetPrimaryGroup makes the group the primary one.
func (s *Store) SetPrimaryGroup(ctx context.Context, org, id string) (gabion.Operation, error) {
	return s.change(ctx, ofGroup(org, "make-primary-security-group", id, primaryKey(org)), func(t *txn) error {
		g, err := t.group(org, id)
		if err != nil {
			return err
		}
		old, err := t.primaryGroup(org)
		if err != nil {
			return err
		}
		t.before, t.after = referenceWords{old}, referenceWords{g.ID}
		return t.put(primaryKey(org), holder{ID: id})
	})
}

func (t *txn) primaryGroup(org string) (string, error) {
	kv, err := t.get(primaryKey(org))
	if err != nil {
		return "", err
	}
	if kv == nil {
		return "", gabion.NotFound("organization", org)
	}
	h, err := valueOf[holder](kv)
	return h.ID, err
}

func (t *txn) refusePrimary(g gabion.Group) error {
	primary, err := t.primaryGroup(g.Organization)
	if err != nil {
		return err
	}
	if primary == g.ID {
		return gabion.Conflict("security group %q is the primary one: make another the primary one first", g.Name)
	}
	return nil
}
