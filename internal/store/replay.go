package store

import (
	"encoding/hex"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gabion/gabion"
)

// A request is known by its signature, and its signature says when it ends. So a
// claim can be found by both, and those that ended stand before all others: each
// new claim sweeps a few of them away.

const (
	// sweptClaims is how many claims that ended a new one removes at most.
	sweptClaims = 20
	// claimGrace is for how long after its end a claim is kept at least: servers'
	// clocks differ.
	claimGrace = 5 * time.Minute
)

func isSigned(a gabion.Actor) bool { return a.Signature != [32]byte{} }

// replayKey is the claim of a request on a command: a request may be about more
// than one.
func replayKey(c command, a gabion.Actor) string {
	return replayTime(c.org, a.SignatureExpires) + "/" + hex.EncodeToString(a.Signature[:]) + "/" + c.name
}

func replayTime(log string, end time.Time) string {
	return replayPrefix(log) + fmt.Sprintf("%012d", end.Unix())
}

// askingReplay asks for the claim of the actor's request, and for some that ended.
func (t *txn) askingReplay(c command, a gabion.Actor) []ask {
	if !isSigned(a) {
		return nil
	}
	ended := clientv3.OpGet(replayPrefix(c.org), clientv3.WithRange(replayTime(c.org, time.Now().Add(-claimGrace))),
		clientv3.WithKeysOnly(), clientv3.WithLimit(sweptClaims))
	sweep := ask{ended, func(r *etcdserverpb.RangeResponse) {
		for _, kv := range r.Kvs {
			t.delete(string(kv.Key))
		}
	}}
	return append(t.reading([]string{replayKey(c, a)}), sweep)
}

// replayed is the operation that the actor's request made before, nil if there is none.
func (t *txn) replayed(c command, a gabion.Actor) (*holder, error) {
	if !isSigned(a) {
		return nil, nil
	}
	kv := t.seen[replayKey(c, a)]
	if kv == nil {
		return nil, nil
	}
	t.writes = nil // of the sweep: nothing is changed
	h, err := valueOf[holder](kv)
	return &h, err
}

// claimReplay notes that the operation is what the actor's request made.
func (t *txn) claimReplay(c command, a gabion.Actor, op gabion.Operation) error {
	if !isSigned(a) {
		return nil
	}
	return t.put(replayKey(c, a), holder{ID: op.ID, Organization: op.Organization})
}
