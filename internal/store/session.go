package store

import (
	"context"
	"crypto/rand"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gabion/gabion"
)

type sessionRecord struct {
	Key          string    `json:"key"`
	Organization string    `json:"organization"` // of the key
	Created      time.Time `json:"created"`
	Expires      time.Time `json:"expires"`
}

// lookedAt is how many sessions a new one looks at for some that ended: more than
// one, so that they become fewer.
const lookedAt = 20

// CreateSession stores a session of a key, and forgets some that have ended.
func (s *Store) CreateSession(ctx context.Context, session gabion.Session) error {
	key, err := s.Key(ctx, session.Key)
	if err != nil {
		return err
	}
	ended, err := s.endedSessions(ctx)
	if err != nil {
		return err
	}
	leave, err := s.lanes.enter(ctx, key.Organization)
	if err != nil {
		return err
	}
	defer leave()
	_, err = s.transact(ctx, "create session", func(t *txn) error {
		for _, old := range ended {
			t.delete(old)
		}
		if err := t.recordSignIn(key); err != nil {
			return err
		}
		return t.put(sessionKey(session.Hash), sessionRecord{
			Key: session.Key, Organization: key.Organization, Created: session.Created, Expires: session.Expires,
		})
	})
	return err
}

// recordSignIn writes who signed in, and from where. It is no change that could be
// asked for again, so it has no operation.
func (t *txn) recordSignIn(key gabion.Key) error {
	e := entryBy(gabion.ActorOf(t.ctx), "create-session", key.ID)
	e.Key, e.KeyName = key.ID, key.Name
	return t.record(key.Organization, e)
}

// endedSessions looks at some sessions from a random one on, and finds those that ended.
func (s *Store) endedSessions(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var start [32]byte
	rand.Read(start[:]) // does not fail
	reply, err := s.client.Get(ctx, sessionKey(start), clientv3.WithRange(clientv3.GetPrefixRangeEnd(sessionPrefix)), clientv3.WithLimit(lookedAt))
	if err != nil {
		return nil, classed(err, "read sessions")
	}
	var ended []string
	for _, kv := range reply.Kvs {
		if r, err := valueOf[sessionRecord](kv); s.readable(kv, err) && r.Expires.Before(time.Now()) {
			ended = append(ended, string(kv.Key))
		}
	}
	return ended, nil
}

// Session is a session that has not ended, of a key that has not either.
func (s *Store) Session(ctx context.Context, hash [32]byte) (gabion.Session, error) {
	unknown := &gabion.Error{Code: gabion.CodeNotFound, Message: "the session has ended: sign in again"}
	kv, err := s.get(ctx, sessionKey(hash))
	if err != nil {
		return gabion.Session{}, err
	}
	if kv == nil {
		return gabion.Session{}, unknown
	}
	r, err := valueOf[sessionRecord](kv)
	if err != nil {
		return gabion.Session{}, err
	}
	key, err := s.Key(ctx, r.Key)
	at := time.Now()
	switch {
	case gabion.CodeOf(err) == gabion.CodeNotFound && err != nil:
		return gabion.Session{}, unknown
	case err != nil:
		return gabion.Session{}, err
	case key.Expired(at) || !at.Before(r.Expires):
		return gabion.Session{}, unknown
	}
	return gabion.Session{Hash: hash, Key: r.Key, Created: r.Created, Expires: r.Expires}, nil
}

// DeleteSession ends a session. It is no error if there is none.
func (s *Store) DeleteSession(ctx context.Context, hash [32]byte) error {
	_, err := s.transact(ctx, "delete session", func(t *txn) error {
		t.delete(sessionKey(hash))
		return nil
	})
	return err
}
