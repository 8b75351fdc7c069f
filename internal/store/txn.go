package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gabion/gabion"
)

// readBatch is how many keys one read asks for: what every etcd allows.
const readBatch = 128

// txn is one transaction in the making. Whatever it reads it guards: it is made
// only if all of that is still so. What it decides is therefore decided on the
// state that it changes, whoever else writes at the same time.
type txn struct {
	ctx    context.Context
	client *clientv3.Client
	seen   map[string]*mvccpb.KeyValue // nil: there is no such key
	guards []clientv3.Cmp
	writes []clientv3.Op
	claims map[string]holder // what this transaction itself claims, by key
	counts map[string]int64  // of keys, by prefix

	before, after any // what the record of the change says that it changed
}

// ask is one question to etcd, and what to do with the answer.
type ask struct {
	op   clientv3.Op
	take func(*etcdserverpb.RangeResponse)
}

// read fetches keys that are not known yet, and guards them.
func (t *txn) read(keys ...string) error { return t.ask(t.reading(keys)) }

func (t *txn) reading(keys []string) []ask {
	var asks []ask
	for _, key := range keys {
		if _, known := t.seen[key]; known {
			continue
		}
		t.seen[key] = nil
		asks = append(asks, ask{clientv3.OpGet(key), func(r *etcdserverpb.RangeResponse) { t.saw(key, r.Kvs) }})
	}
	return asks
}

// counting asks how many keys there are below prefixes. It does not guard that:
// whoever counts guards something that each change of the count changes.
func (t *txn) counting(prefixes []string) []ask {
	var asks []ask
	for _, prefix := range prefixes {
		asks = append(asks, ask{
			clientv3.OpGet(prefix, clientv3.WithPrefix(), clientv3.WithCountOnly()),
			func(r *etcdserverpb.RangeResponse) { t.counts[prefix] = r.Count },
		})
	}
	return asks
}

// ask puts questions in as few calls as etcd allows.
func (t *txn) ask(asks []ask) error {
	for batch := range slices.Chunk(asks, readBatch) {
		ops := make([]clientv3.Op, len(batch))
		for i := range batch {
			ops[i] = batch[i].op
		}
		reply, err := t.client.Txn(t.ctx).Then(ops...).Commit()
		if err != nil {
			return err
		}
		for i, a := range batch {
			a.take(reply.Responses[i].GetResponseRange())
		}
	}
	return nil
}

func (t *txn) saw(key string, found []*mvccpb.KeyValue) {
	revision := int64(0)
	if len(found) > 0 {
		t.seen[key], revision = found[0], found[0].ModRevision
	}
	t.guards = append(t.guards, clientv3.Compare(clientv3.ModRevision(key), "=", revision))
}

// get is the value of a key, nil if there is none.
func (t *txn) get(key string) (*mvccpb.KeyValue, error) {
	if err := t.read(key); err != nil {
		return nil, err
	}
	return t.seen[key], nil
}

// list is all that is below prefix, and guards that nothing there is added or
// changed: if it is empty, that it stays so. Something that goes meanwhile is no
// conflict.
func (t *txn) list(prefix string) ([]*mvccpb.KeyValue, error) {
	reply, err := t.client.Get(t.ctx, prefix, clientv3.WithPrefix())
	if err != nil {
		return nil, err
	}
	guard := clientv3.Compare(clientv3.ModRevision(prefix), "<", reply.Header.Revision+1)
	t.guards = append(t.guards, guard.WithPrefix())
	return reply.Kvs, nil
}

// put writes a record, or a bare text, as the value of a key.
func (t *txn) put(key string, record any) error {
	value, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	t.writes = append(t.writes, clientv3.OpPut(key, string(value)))
	return nil
}

func (t *txn) delete(key string) {
	t.writes = append(t.writes, clientv3.OpDelete(key))
}

func (t *txn) deletePrefix(prefix string) {
	t.writes = append(t.writes, clientv3.OpDelete(prefix, clientv3.WithPrefix()))
}

// transact makes the transaction that build describes, and returns its revision.
func (s *Store) transact(ctx context.Context, what string, build func(*txn) error) (int64, error) {
	revision, err := s.insist(ctx, build)
	return revision, classed(err, what)
}

// insist asks build again, with a fresh transaction, as long as something that
// build read has changed meanwhile; until patience ends.
func (s *Store) insist(ctx context.Context, build func(*txn) error) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for attempt := 0; ; attempt++ {
		revision, made, err := s.attempt(ctx, build)
		if err != nil || made {
			return revision, err
		}
		if err := pause(ctx, attempt); err != nil {
			return 0, gabion.Unavailable("others change the same objects all the time: try again")
		}
	}
}

// errUnanswered says that a transaction was sent and its fate is not known.
var errUnanswered = errors.New("no answer to a transaction")

func (s *Store) attempt(ctx context.Context, build func(*txn) error) (revision int64, made bool, err error) {
	t := &txn{ctx: ctx, client: s.client, seen: map[string]*mvccpb.KeyValue{}, claims: map[string]holder{}, counts: map[string]int64{}}
	if err := build(t); err != nil {
		return 0, false, err
	}
	if len(t.writes) == 0 {
		return 0, true, nil
	}
	ctx, cancel := t.deadline(ctx)
	defer cancel()
	reply, err := s.client.Txn(ctx).If(t.guards...).Then(t.writes...).Commit()
	switch {
	case err != nil && isOutage(err):
		return 0, false, fmt.Errorf("%w: %w", errUnanswered, err)
	case err != nil:
		return 0, false, err
	}
	return reply.Header.Revision, reply.Succeeded, nil
}

// Transactions of more writes than that have longer to be made: a busy server takes
// seconds over 20,000.
const (
	manyWrites    = 1000
	largePatience = 30 * time.Second
)

// deadline bounds how long etcd may take to make the transaction.
func (t *txn) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if len(t.writes) <= manyWrites {
		return ctx, func() {}
	}
	return context.WithTimeout(context.WithoutCancel(ctx), largePatience)
}

// pause waits a random time that grows with the attempts, so that those who
// contend for an object come through one after the other.
func pause(ctx context.Context, attempt int) error {
	limit := min(time.Millisecond<<min(attempt, 6), 50*time.Millisecond)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(rand.N(limit)):
		return nil
	}
}
