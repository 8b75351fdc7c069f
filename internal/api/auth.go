package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"net/http"
	"time"

	"github.com/gabion/gabion"
)

var (
	errUnsigned = gabion.Forbidden("sign the request: Authorization: %s credential=…,expires=…,signature=…", scheme)

	// errSignature is the one answer to all wrong signatures, after the same work:
	// nobody learns from it which keys there are.
	errSignature = gabion.Forbidden("the signature does not match; check the key, its secret and how the request is signed")
)

// caller is who sent a request, and what shows that.
type caller struct {
	gabion.Key
	signature [sha256.Size]byte
	expires   time.Time       // of the signature
	session   *gabion.Session // instead of a signature; nil if there is one
}

func callerOf(ctx context.Context) *caller {
	c, _ := ctx.Value(callerKey).(*caller)
	return c
}

// refused is a request that names a key which there is, and is not let through.
type refused struct {
	error
	key gabion.Key
}

func (r *refused) Unwrap() error { return r.error }

// authenticate lets those through who show who they are, with the caller and the
// actor in the context.
func (a *api) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" && a.isPublic(r) {
			next.ServeHTTP(w, r)
			return
		}
		c, err := a.identify(r)
		if err != nil {
			a.refuseStranger(w, r, err)
			return
		}
		use := a.limits.use(c.ID)
		if wait := take(use.limiter); wait > 0 {
			tooFast(w, wait, "key "+c.ID+" asks too fast")
			return
		}
		a.touch(c.Key, use)
		ctx := gabion.WithActor(r.Context(), actor(r, c))
		next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, callerKey, c)))
	})
}

func actor(r *http.Request, c *caller) gabion.Actor {
	return gabion.Actor{
		Key: c.ID, KeyName: c.Name, Organization: c.Organization, Remote: remote(r), Request: requestID(r.Context()),
		Signature: c.signature, SignatureExpires: c.expires,
	}
}

// identify finds who sent the request.
func (a *api) identify(r *http.Request) (*caller, error) {
	if cookie := sessionCookie(r); cookie != "" && r.Header.Get("Authorization") == "" {
		return a.identifySession(r, cookie)
	}
	return a.identifySignature(r)
}

func (a *api) identifySignature(r *http.Request) (*caller, error) {
	claim, err := parseAuthorization(r.Header.Values("Authorization"))
	if err != nil {
		return nil, err
	}
	query, err := singleQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	if err := claim.coversAll(query); err != nil {
		return nil, err
	}
	if err := claim.checkExpiry(time.Now()); err != nil {
		return nil, err
	}
	key, shown, err := a.keyShown(r, claim.credential, a.limits.wrong, func(secret string) bool {
		return hmac.Equal(sign(secret, r, query, claim.expires), claim.signature)
	})
	if err != nil {
		return nil, err
	}
	if !shown {
		return nil, &refused{errSignature, key}
	}
	if err := checkEnd(key); err != nil {
		return nil, err
	}
	return &caller{Key: key, signature: [sha256.Size]byte(claim.signature), expires: time.Unix(claim.expires, 0)}, nil
}

// keyOf is the key of that id; that it is not known is for the caller to say, once
// everything else is done.
func (a *api) keyOf(ctx context.Context, id string) (key gabion.Key, known bool, err error) {
	key, err = a.Store.Key(ctx, id)
	if err != nil && gabion.CodeOf(err) != gabion.CodeNotFound {
		return gabion.Key{}, false, err
	}
	return key, err == nil && key.Secret != "", nil
}

// checkEnd refuses a key that has expired. Only who has its secret is told so.
func checkEnd(key gabion.Key) error {
	if !key.Expired(time.Now()) {
		return nil
	}
	return &refused{gabion.Forbidden("the key %s has expired at %s; use another", key.ID, key.Expires.UTC().Format(time.RFC3339)), key}
}

// refuseStranger answers whoever did not show who it is.
func (a *api) refuseStranger(w http.ResponseWriter, r *http.Request, err error) {
	var whose refused
	if named := new(refused); errors.As(err, &named) {
		whose = *named
	}
	if !a.heldUp(w, r, a.limits.wrong, whose.key, err) {
		a.refuse(w, r, err)
	}
}

// heldUp records it if somebody got it wrong. Who did so too often is answered that it
// has to wait; it is false if the caller is to answer.
func (a *api) heldUp(w http.ResponseWriter, r *http.Request, m *mistakes, key gabion.Key, err error) bool {
	var wait time.Duration
	switch early := new(hasty); {
	case errors.As(err, &early):
		wait = early.wait
	case gabion.CodeOf(err) == gabion.CodeForbidden:
		wait = m.add(source(remote(r)))
	default:
		return false
	}
	a.deny(r, key, err)
	if wait > 0 {
		tooFast(w, wait, m.what)
	}
	return wait > 0
}

// touch stores that the key is used, to the minute.
func (a *api) touch(key gabion.Key, use *keyUse) {
	use.stored.Do(func() {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), deadline)
			defer cancel()
			if err := a.Store.TouchKey(ctx, key.ID, time.Now().UTC().Truncate(time.Minute)); err != nil {
				a.Log.Debug("use of key not stored", "key", key.ID, "error", err)
			}
		}()
	})
}
