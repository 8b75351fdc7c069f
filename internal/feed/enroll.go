package feed

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/pki"
)

// callPatience bounds a call that is not a stream.
const callPatience = 20 * time.Second

// tryEach makes a call at one server after the other, until one answers: with a
// refusal, too, since the others would say the same.
func tryEach(servers []string, call func(server string) (*pki.Identity, error)) (id *pki.Identity, err error) {
	for _, server := range servers {
		var told *gabion.Error
		id, err = call(server)
		if err == nil || errors.As(err, &told) && told.Code != gabion.CodeUnavailable {
			return id, err
		}
	}
	return nil, err
}

// JoinAny is Join at the first of the servers that answers.
func JoinAny(ctx context.Context, servers []string, token pki.JoinToken) (*pki.Identity, error) {
	return tryEach(Preferred(token.Host, servers), func(server string) (*pki.Identity, error) { return Join(ctx, server, token) })
}

// Join trades the token for an identity at the server. The key is made here and
// stays here.
func Join(ctx context.Context, server string, token pki.JoinToken) (*pki.Identity, error) {
	c, err := connect(server, token.TLS())
	if err != nil {
		return nil, err
	}
	defer c.close()
	id, err := enroll(func(request []byte) (*feedpb.JoinReply, error) {
		ctx, cancel := context.WithTimeout(ctx, callPatience)
		defer cancel()
		return c.Join(ctx, &feedpb.JoinRequest{Token: token.String(), Csr: request})
	})
	if err != nil {
		return nil, fmt.Errorf("join as host %s: %w", token.Host, c.explain(err))
	}
	if id.Host != token.Host || sha256.Sum256(id.Authority().Raw) != token.CA {
		return nil, fmt.Errorf("join as host %s: the server answered with an identity that is not the token's", token.Host)
	}
	return id, nil
}

// renew trades the identity for a new one, with a new key.
func renew(ctx context.Context, server string, old *pki.Identity) (*pki.Identity, error) {
	c, err := connect(server, old.TLS())
	if err != nil {
		return nil, err
	}
	defer c.close()
	id, err := enroll(func(request []byte) (*feedpb.JoinReply, error) {
		ctx, cancel := context.WithTimeout(ctx, callPatience)
		defer cancel()
		return c.Renew(ctx, &feedpb.RenewRequest{Csr: request})
	})
	if err != nil {
		return nil, c.explain(err)
	}
	if id.Host != old.Host || !id.Authority().Equal(old.Authority()) {
		return nil, errors.New("the server answered with an identity of another host or authority")
	}
	return id, nil
}

func enroll(call func(request []byte) (*feedpb.JoinReply, error)) (*pki.Identity, error) {
	key, err := pki.NewKey()
	if err != nil {
		return nil, err
	}
	request, err := pki.Request(key)
	if err != nil {
		return nil, err
	}
	reply, err := call(request)
	if err != nil {
		return nil, err
	}
	return pki.NewIdentity(key, reply.GetCertificate(), reply.GetCa())
}
