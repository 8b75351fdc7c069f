package store

import (
	"context"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// pageSize is how many objects one answer holds. It is not small: for each answer,
// etcd counts all that are left, too.
const pageSize = 10000

// get reads one key as it is now; nil if there is none. Like everything here, it
// falls back to what one member knows where ctx allows it: see TolerateStale.
func (s *Store) get(ctx context.Context, key string) (*mvccpb.KeyValue, error) {
	reply, err := answer(ctx, s, func(ctx context.Context, options ...clientv3.OpOption) (*clientv3.GetResponse, error) {
		return s.client.Get(ctx, key, options...)
	})
	if err != nil {
		return nil, classed(err, "read "+key)
	}
	if len(reply.Kvs) == 0 {
		return nil, nil
	}
	return reply.Kvs[0], nil
}

// gets reads keys as they are at one moment; nil for those that are not there.
func (s *Store) gets(ctx context.Context, keys ...string) ([]*mvccpb.KeyValue, error) {
	reply, err := answer(ctx, s, func(ctx context.Context, options ...clientv3.OpOption) (*clientv3.TxnResponse, error) {
		ops := make([]clientv3.Op, len(keys))
		for i, key := range keys {
			ops[i] = clientv3.OpGet(key, options...)
		}
		return s.client.Txn(ctx).Then(ops...).Commit()
	})
	if err != nil {
		return nil, classed(err, "read "+keys[0])
	}
	found := make([]*mvccpb.KeyValue, len(keys))
	for i, r := range reply.Responses {
		if kvs := r.GetResponseRange().Kvs; len(kvs) > 0 {
			found[i] = kvs[0]
		}
	}
	return found, nil
}

// scan calls visit for each key below prefix, all of them as they were at
// revision, or at one newest revision if that is 0. It returns that revision.
func (s *Store) scan(ctx context.Context, prefix string, revision int64, visit func(*mvccpb.KeyValue), options ...clientv3.OpOption) (int64, error) {
	from, end := prefix, clientv3.GetPrefixRangeEnd(prefix)
	for {
		reply, err := s.page(ctx, from, end, revision, options)
		if err != nil {
			return 0, classed(err, "read "+prefix)
		}
		if revision == 0 {
			revision = reply.Header.Revision
		}
		for _, kv := range reply.Kvs {
			visit(kv)
		}
		if !reply.More {
			return revision, nil
		}
		from = string(reply.Kvs[len(reply.Kvs)-1].Key) + "\x00"
	}
}

func (s *Store) page(ctx context.Context, from, end string, revision int64, options []clientv3.OpOption) (*clientv3.GetResponse, error) {
	options = append(slices.Clone(options), clientv3.WithRange(end), clientv3.WithRev(revision), clientv3.WithLimit(pageSize))
	return answer(ctx, s, func(ctx context.Context, stale ...clientv3.OpOption) (*clientv3.GetResponse, error) {
		return s.client.Get(ctx, from, append(stale, options...)...)
	})
}
