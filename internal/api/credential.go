package api

import (
	"crypto/sha256"
	"net/http"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/gabion/gabion"
)

// credentials are those that this server has found in the store. While an address
// gets it wrong too often, the store is asked of it for nothing else: nobody who
// guesses keeps the store busy. They open nothing by themselves.
type credentials struct {
	keys     *lru.Cache[string, gabion.Key] // by their ids; a key's secret never changes
	sessions *lru.Cache[[sha256.Size]byte, struct{}]
}

func newCredentials() *credentials {
	return &credentials{keys: newLRU[string, gabion.Key](maxKeys), sessions: newLRU[[sha256.Size]byte, struct{}](maxSources)}
}

// hasty is the error of who got it wrong too often to have the store asked.
type hasty struct {
	wait time.Duration
	what string // there was too much of
}

func (h *hasty) Error() string { return h.what }

// keyShown is the key of that id, and whether the request shows its secret. All wrong
// secrets, and keys that there are not, are the same work.
func (a *api) keyShown(r *http.Request, id string, m *mistakes, shows func(secret string) bool) (key gabion.Key, shown bool, err error) {
	if wait := m.wait(source(remote(r))); wait > 0 {
		seen, found := a.credentials.keys.Get(id)
		if !shows(seen.Secret) || !found {
			return seen, false, &hasty{wait, m.what}
		}
	}
	key, known, err := a.keyOf(r.Context(), id)
	if err != nil {
		return gabion.Key{}, false, err
	}
	if known {
		a.credentials.keys.Add(id, key)
	}
	return key, shows(key.Secret) && known, nil
}

// sessionShown is the session of that hash; not found if there is none.
func (a *api) sessionShown(r *http.Request, hash [sha256.Size]byte) (gabion.Session, error) {
	wait := a.limits.wrong.wait(source(remote(r)))
	if wait > 0 && !a.credentials.sessions.Contains(hash) {
		return gabion.Session{}, &hasty{wait, a.limits.wrong.what}
	}
	session, err := a.Store.Session(r.Context(), hash)
	switch {
	case err == nil:
		a.credentials.sessions.Add(hash, struct{}{})
	case gabion.CodeOf(err) == gabion.CodeNotFound:
		a.credentials.sessions.Remove(hash)
	}
	return session, err
}
