package store

import (
	"context"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/gabion/gabion"
)

type tokenRecord struct {
	Host    string    `json:"host"`
	Expires time.Time `json:"expires"`
}

// expiredBatch is how many expired tokens a new one sweeps away.
const expiredBatch = 50

// CreateJoinToken stores a token, and forgets some that have expired.
func (s *Store) CreateJoinToken(ctx context.Context, token gabion.JoinToken) error {
	if err := gabion.ValidateHostName("host", token.Host); err != nil {
		return err
	}
	var expired []string
	_, err := s.scan(ctx, tokenPrefix, 0, func(kv *mvccpb.KeyValue) {
		old, err := valueOf[tokenRecord](kv)
		if s.readable(kv, err) && old.Expires.Before(time.Now()) && len(expired) < expiredBatch {
			expired = append(expired, string(kv.Key))
		}
	})
	if err != nil {
		return err
	}
	c := installation("create-host-token", hostKind, token.Host)
	made, err := s.make(ctx, c, func(t *txn) error {
		for _, key := range expired {
			t.delete(key)
		}
		t.after = hostWords{Name: token.Host, Expires: token.Expires.UTC()}
		return t.put(tokenKey(token.Hash), tokenRecord{Host: token.Host, Expires: token.Expires})
	})
	if err == nil && made.earlier != nil {
		return gabion.Conflict("this request made a join token before, which is shown once: ask for another with a new request")
	}
	return classed(err, c.name)
}

// RedeemJoinToken uses up the token of that hash, and lets the host join that it
// was made for: it exists from then on, and is known by the certificate (SHA-256)
// alone. Those of an earlier join are good for nothing any more.
func (s *Store) RedeemJoinToken(ctx context.Context, host string, hash [32]byte, at time.Time, certificate [32]byte) error {
	_, err := s.change(ctx, installation("join-host", hostKind, host, tokenKey(hash)), func(t *txn) error {
		kv, err := t.get(tokenKey(hash))
		if err != nil {
			return err
		}
		if kv == nil {
			return gabion.Forbidden("the join token is unknown or used: get a new one with gabion host token %s", host)
		}
		token, err := valueOf[tokenRecord](kv)
		switch {
		case err != nil:
			return err
		case !at.Before(token.Expires):
			return gabion.Forbidden("the join token expired at %s: get a new one with gabion host token %s", token.Expires.Format(time.RFC3339), host)
		case token.Host != host:
			return gabion.Forbidden("the join token was altered: it is for another host than it says")
		}
		t.after = hostWords{Name: host}
		t.delete(tokenKey(hash))
		return t.admit(host, certificate)
	})
	return err
}
