package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
)

const (
	// cookieName begins as browsers demand of a cookie that only this very origin
	// sets and gets.
	cookieName = "__Host-gabion"

	// sessionLife is how long a browser stays signed in.
	sessionLife = 12 * time.Hour
)

var errSession = gabion.Forbidden("the session has ended; sign in again")

func sessionCookie(r *http.Request) string {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return ""
	}
	return cookie.Value
}

// identifySession finds whose browser it is. What it sends to change something, to
// have hosts asked or to listen, must come from our own pages.
func (a *api) identifySession(r *http.Request, cookie string) (*caller, error) {
	if (r.Method != http.MethodGet || r.URL.Path == Base+"/flow") && origin(r) != ours {
		return nil, errOrigin
	}
	session, err := a.sessionShown(r, sha256.Sum256([]byte(cookie)))
	if gabion.CodeOf(err) == gabion.CodeNotFound {
		return nil, errSession
	}
	if err != nil {
		return nil, err
	}
	key, known, err := a.keyOf(r.Context(), session.Key)
	switch {
	case err != nil:
		return nil, err
	case !known || !time.Now().Before(session.Expires):
		return nil, errSession
	}
	if err := checkEnd(key); err != nil {
		return nil, err
	}
	return &caller{Key: key, session: &session}, nil
}

// where is where a browser says that a request comes from.
type where int

const (
	unsaid  where = iota // no browser of today
	ours                 // a page of this server
	foreign              // any other page
)

var errOrigin = gabion.Forbidden("the request does not come from a page of this server; open the console anew")

// origin tells where the request comes from.
func origin(r *http.Request) where {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		if site == "same-origin" {
			return ours
		}
		return foreign
	}
	said := r.Header.Get("Origin")
	if said == "" {
		return unsaid
	}
	from, err := url.Parse(said)
	if err != nil || from.Host == "" || from.Host != r.Host {
		return foreign
	}
	return ours
}

// CreateSession signs a browser in.
func (a *api) CreateSession(w http.ResponseWriter, r *http.Request) {
	key, err := a.signIn(r)
	if err != nil {
		if !a.heldUp(w, r, a.limits.wrongSignIns, key, err) {
			a.refuse(w, r, err)
		}
		return
	}
	use := a.limits.use(key.ID)
	if wait := take(use.limiter); wait > 0 {
		tooFast(w, wait, "key "+key.ID+" signs in too fast")
		return
	}
	a.touch(key, use)
	a.openSession(w, r, key)
}

func (a *api) openSession(w http.ResponseWriter, r *http.Request, key gabion.Key) {
	session, cookie := newSession(key)
	c := &caller{Key: key, session: &session}
	ctx, cancel := context.WithTimeout(gabion.WithActor(context.WithoutCancel(r.Context()), actor(r, c)), deadline)
	defer cancel()
	if err := a.Store.CreateSession(ctx, session); err != nil {
		a.refuse(w, r, err)
		return
	}
	a.showSession(w, r, c, cookie)
}

// signIn is the key whose id and secret the request has. With an error it is the
// key that there is, for the log.
func (a *api) signIn(r *http.Request) (gabion.Key, error) {
	if origin(r) == foreign {
		return gabion.Key{}, errOrigin
	}
	var body openapi.CreateSessionRequest
	if err := decodeOurs(r, &body); err != nil {
		return gabion.Key{}, err
	}
	if body.Key == "" {
		return gabion.Key{}, gabion.Invalid("key", "is empty; give the key's id")
	}
	if body.Secret == "" {
		return gabion.Key{}, gabion.Invalid("secret", "is empty; give the key's secret")
	}
	return a.keyWith(r, body.Key, body.Secret)
}

// keyWith is the key of that id, if the secret is its. All wrong ones get one
// answer, after the same work.
func (a *api) keyWith(r *http.Request, id, secret string) (gabion.Key, error) {
	wrong := gabion.Forbidden("the key or its secret is wrong")
	if !isKeyID(id) {
		return gabion.Key{}, wrong
	}
	key, shown, err := a.keyShown(r, id, a.limits.wrongSignIns, isSecret(secret))
	if err != nil {
		return gabion.Key{}, err
	}
	if !shown {
		return key, wrong
	}
	return key, checkEnd(key)
}

// isSecret compares what was given with secrets, and takes the same time for all.
func isSecret(given string) func(secret string) bool {
	own := sha256.Sum256([]byte(given))
	return func(secret string) bool {
		sum := sha256.Sum256([]byte(secret))
		return subtle.ConstantTimeCompare(own[:], sum[:]) == 1
	}
}

func newSession(key gabion.Key) (gabion.Session, *http.Cookie) {
	var secret [32]byte
	rand.Read(secret[:]) // does not fail
	value := base64.RawURLEncoding.EncodeToString(secret[:])
	now := time.Now().UTC().Truncate(time.Second)
	s := gabion.Session{Hash: sha256.Sum256([]byte(value)), Key: key.ID, Created: now, Expires: now.Add(sessionLife)}
	if !key.Expires.IsZero() && key.Expires.Before(s.Expires) {
		s.Expires = key.Expires
	}
	return s, newCookie(value, s.Expires)
}

// newCookie is one that no script reads, no other site causes to be sent, and no
// connection without TLS carries.
func newCookie(value string, expires time.Time) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: value, Path: "/", Expires: expires,
		HttpOnly: true, Secure: true, SameSite: http.SameSiteStrictMode,
	}
}

// GetSession answers who calls.
func (a *api) GetSession(w http.ResponseWriter, r *http.Request) {
	a.showSession(w, r, callerOf(r.Context()), nil)
}

// showSession answers who calls, with a cookie if it has just signed in.
func (a *api) showSession(w http.ResponseWriter, r *http.Request, c *caller, cookie *http.Cookie) {
	o, err := a.Store.Organization(r.Context(), c.Organization)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	if cookie != nil {
		http.SetCookie(w, cookie)
	}
	respond(w, http.StatusOK, a.sessionBody(r, c, o))
}

func (a *api) sessionBody(r *http.Request, c *caller, o gabion.Organization) openapi.Session {
	body := openapi.Session{
		Key: c.ID, Name: c.Name, Scopes: scopeBodies(c.Scopes), Operator: c.Operator,
		Organization: openapi.Reference{ID: o.ID, Name: o.Name},
		Zone:         a.Zone, GroupChanges: openapi.SessionGroupChangesStopped, ServerVersion: a.Version, Address: remote(r).String(),
	}
	if a.LiveGroupChanges {
		body.GroupChanges = openapi.SessionGroupChangesLive
	}
	if c.session != nil {
		body.ExpiresAt = &c.session.Expires
	}
	return body
}

// DeleteSession signs the browser out.
func (a *api) DeleteSession(w http.ResponseWriter, r *http.Request) {
	c := callerOf(r.Context())
	if c.session == nil {
		a.refuse(w, r, gabion.Invalid("Cookie", "%s is missing; this request is signed, and belongs to no session", cookieName))
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), deadline)
	defer cancel()
	if err := a.Store.DeleteSession(ctx, c.session.Hash); err != nil && gabion.CodeOf(err) != gabion.CodeNotFound {
		a.refuse(w, r, err)
		return
	}
	gone := newCookie("", time.Unix(1, 0))
	gone.MaxAge = -1
	http.SetCookie(w, gone)
	w.WriteHeader(http.StatusNoContent)
}
