package store

import (
	"context"
	"encoding/json"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gabion/gabion"
)

// An organization is deleted in one transaction, which marks it gone: from then on
// nobody finds it, its keys open nothing and nothing can be made in it. What is left
// of it is removed after that, in as many transactions as it takes. A server that
// dies over it leaves the rest to the next one that starts.

// DeleteOrganization deletes an organization that has no instances. Its audit log stays.
func (s *Store) DeleteOrganization(ctx context.Context, id string) (gabion.Operation, error) {
	if !isID(id) {
		return gabion.Operation{}, gabion.NotFound(organizationKind, id)
	}
	c := installation("delete-organization", organizationKind, id, organizationKey(id), bootstrapKey)
	op, err := s.change(ctx, c, func(t *txn) error { return t.deleteOrganization(id) })
	if err != nil {
		return op, err
	}
	if err := s.removeOrganization(context.WithoutCancel(ctx), id); err != nil {
		s.log.Warn("what is left of a deleted organization is removed when a server starts", "organization", id, "error", err)
	}
	return op, nil
}

func (t *txn) deleteOrganization(id string) error {
	o, err := t.organization(id)
	if err != nil {
		return err
	}
	kv, err := t.get(bootstrapKey)
	if err != nil {
		return err
	}
	if kv != nil {
		born, err := valueOf[bootstrapRecord](kv)
		if err != nil {
			return err
		}
		if born.Organization == id {
			return gabion.Conflict("organization %q is the one that everything began with: it can't be deleted", o.Name)
		}
	}
	instances, err := t.list(instancesOf(id))
	if err != nil {
		return err
	}
	if n := len(instances); n > 0 {
		return gabion.Conflict("organization %q has %d instances: delete them first", o.Name, n)
	}
	if err := t.retireOperators(func(at operatorRecord, _ string) bool { return at.Organization == id }); err != nil {
		return err
	}
	t.before = organizationSaid(o)
	t.delete(organizationNameKey(o.Name))
	gone := organizationOf(o)
	gone.Gone = true
	return t.put(organizationKey(id), gone)
}

// removeOrganization removes what is left of an organization that is gone, its
// record last.
func (s *Store) removeOrganization(ctx context.Context, id string) error {
	if err := s.removeKeysOf(ctx, id); err != nil {
		return err
	}
	audit := orgKey(id, "audit")
	ranges := [][2]string{
		{orgKey(id, ""), audit},
		{clientv3.GetPrefixRangeEnd(audit), clientv3.GetPrefixRangeEnd(orgKey(id, ""))},
	}
	for _, r := range ranges {
		if err := s.removeRange(ctx, r[0], r[1]); err != nil {
			return err
		}
	}
	_, err := s.transact(ctx, "remove organization", func(t *txn) error {
		t.delete(organizationKey(id))
		return nil
	})
	return err
}

// removeKeysOf removes what stands elsewhere for the organization: the index of its
// keys, and their sessions.
func (s *Store) removeKeysOf(ctx context.Context, id string) error {
	var elsewhere []string
	_, err := s.scan(ctx, apiKeysOf(id), 0, func(kv *mvccpb.KeyValue) {
		elsewhere = append(elsewhere, keyIndexKey(placeOf(kv.Key).rest))
	}, clientv3.WithKeysOnly())
	if err != nil {
		return err
	}
	_, err = s.scan(ctx, sessionPrefix, 0, func(kv *mvccpb.KeyValue) {
		if r, err := valueOf[sessionRecord](kv); err == nil && r.Organization == id {
			elsewhere = append(elsewhere, string(kv.Key))
		}
	})
	if err != nil {
		return err
	}
	return s.removeAll(ctx, elsewhere)
}

// removeRange deletes the keys of a range, page by page: so that no revision is
// too large for those who watch.
func (s *Store) removeRange(ctx context.Context, from, end string) error {
	for {
		reply, err := s.page(ctx, from, end, 0, []clientv3.OpOption{clientv3.WithKeysOnly()})
		if err != nil {
			return classed(err, "read "+from)
		}
		keys := make([]string, len(reply.Kvs))
		for i, kv := range reply.Kvs {
			keys[i] = string(kv.Key)
		}
		if err := s.removeAll(ctx, keys); err != nil || !reply.More {
			return err
		}
	}
}

// removeAll deletes keys, some at a time.
func (s *Store) removeAll(ctx context.Context, keys []string) error {
	for len(keys) > 0 {
		n := min(len(keys), readBatch)
		_, err := s.transact(ctx, "remove keys", func(t *txn) error {
			for _, key := range keys[:n] {
				t.delete(key)
			}
			return nil
		})
		if err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// finishRemovals removes what is left of organizations whose removal was cut short.
func (s *Store) finishRemovals(ctx context.Context) error {
	var gone []string
	_, err := s.scan(ctx, organizationPrefix, 0, func(kv *mvccpb.KeyValue) {
		var r organizationRecord
		if err := json.Unmarshal(kv.Value, &r); err == nil && r.Gone {
			gone = append(gone, placeOf(kv.Key).rest)
		}
	})
	if err != nil {
		return err
	}
	for _, id := range gone {
		if err := s.removeOrganization(ctx, id); err != nil {
			return fmt.Errorf("remove organization %s: %w", id, err)
		}
	}
	return nil
}
