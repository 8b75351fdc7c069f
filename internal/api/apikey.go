package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
)

const (
	// maxOverlap is how long a key may work on beside its successor, usualOverlap
	// how long it does when nobody says.
	maxOverlap   = 7 * 24 * time.Hour
	usualOverlap = 24 * time.Hour
)

// ListAPIKeys answers the organization's keys.
func (a *api) ListAPIKeys(w http.ResponseWriter, r *http.Request) {
	a.show(w, r, func(ctx context.Context, org string) (any, error) {
		keys, err := a.Store.Keys(ctx, org)
		list := openapi.APIKeyList{APIKeys: make([]openapi.APIKey, len(keys))}
		for i, key := range keys {
			list.APIKeys[i] = keyBody(key)
		}
		return list, err
	})
}

// GetAPIKey answers one of the organization's keys.
func (a *api) GetAPIKey(w http.ResponseWriter, r *http.Request, id string) {
	a.show(w, r, func(ctx context.Context, org string) (any, error) {
		key, err := a.ownKey(ctx, org, id)
		return keyBody(key), err
	})
}

// ownKey is the organization's key of that id.
func (a *api) ownKey(ctx context.Context, org, id string) (gabion.Key, error) {
	keys, err := a.Store.Keys(ctx, org)
	if err != nil {
		return gabion.Key{}, err
	}
	i := slices.IndexFunc(keys, func(k gabion.Key) bool { return k.ID == id })
	if i < 0 {
		return gabion.Key{}, gabion.NotFound("API key", id)
	}
	return keys[i], nil
}

// CreateAPIKey makes a key for the organization.
func (a *api) CreateAPIKey(w http.ResponseWriter, r *http.Request) {
	a.makeKey(w, r, func(ctx context.Context, org string) (gabion.Key, error) {
		return a.createKey(ctx, r, org)
	})
}

// CreateOrganizationAPIKey makes a key for any organization.
func (a *api) CreateOrganizationAPIKey(w http.ResponseWriter, r *http.Request, id string) {
	a.makeKey(w, r, func(ctx context.Context, _ string) (gabion.Key, error) {
		if _, err := a.Store.Organization(ctx, id); err != nil {
			return gabion.Key{}, err
		}
		return a.createKey(ctx, r, id)
	})
}

// makeKey answers a new key, this once with its secret.
func (a *api) makeKey(w http.ResponseWriter, r *http.Request, ask func(ctx context.Context, org string) (gabion.Key, error)) {
	a.show(w, r, func(ctx context.Context, org string) (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deadline)
		defer cancel()
		key, err := ask(ctx, org)
		if err != nil {
			return nil, err
		}
		body := keyBody(key)
		return openapi.CreatedAPIKey{
			Key: body.Key, Name: body.Name, Scopes: body.Scopes, Operator: body.Operator,
			CreatedAt: body.CreatedAt, ExpiresAt: body.ExpiresAt, Secret: key.Secret,
		}, nil
	})
}

func (a *api) createKey(ctx context.Context, r *http.Request, org string) (gabion.Key, error) {
	var body openapi.CreateAPIKeyRequest
	if err := decodeOurs(r, &body); err != nil {
		return gabion.Key{}, err
	}
	key, err := newKey(org, body)
	if err != nil {
		return gabion.Key{}, err
	}
	if err := mayGive(callerOf(ctx).Key, key); err != nil {
		return gabion.Key{}, err
	}
	return a.Store.CreateKey(ctx, key)
}

func newKey(org string, body openapi.CreateAPIKeyRequest) (gabion.Key, error) {
	key := gabion.Key{Organization: org, Name: body.Name, Operator: body.Operator}
	for i, text := range body.Scopes {
		scope, err := gabion.ParseScope(fmt.Sprintf("scopes[%d]", i), string(text))
		if err != nil {
			return key, err
		}
		key.Scopes = append(key.Scopes, scope)
	}
	if body.ExpiresAt != nil {
		if key.Expires = body.ExpiresAt.UTC(); !key.Expires.After(time.Now()) {
			return key, gabion.Invalid("expires-at", "%s is not in the future; give a later time, or leave it out", key.Expires.Format(time.RFC3339))
		}
	}
	return key, key.Validate()
}

// mayGive holds that nobody makes a key that may do more than its own, or for longer.
func mayGive(own, given gabion.Key) error {
	if given.Operator && !own.Operator {
		return gabion.Forbidden("operator: only an operator's key makes, renews or deletes an operator's key")
	}
	for _, scope := range given.Scopes {
		if !own.Allows(scope) {
			return gabion.Forbidden("scopes: %s is more than the key that asks for it may do", scope)
		}
	}
	if !own.Expires.IsZero() && (given.Expires.IsZero() || given.Expires.After(own.Expires)) {
		return gabion.Forbidden("expires-at: the key that asks for it ends at %s; give that or an earlier time", own.Expires.Format(time.RFC3339))
	}
	return nil
}

// RotateAPIKey makes a key's successor.
func (a *api) RotateAPIKey(w http.ResponseWriter, r *http.Request, id string) {
	a.makeKey(w, r, func(ctx context.Context, org string) (gabion.Key, error) {
		var body openapi.RotateAPIKeyRequest
		if err := decodeOurs(r, &body); err != nil {
			return gabion.Key{}, err
		}
		overlap, most := int(usualOverlap.Seconds()), int(maxOverlap.Seconds())
		if setIf(&overlap, body.OverlapSeconds); overlap < 0 || overlap > most {
			return gabion.Key{}, gabion.Invalid("overlap-seconds", "%d is out of range; give 0 to %d", overlap, most)
		}
		old, err := a.ownKey(ctx, org, id)
		if err != nil {
			return gabion.Key{}, err
		}
		if err := mayGive(callerOf(ctx).Key, old); err != nil {
			return gabion.Key{}, err
		}
		return a.Store.RotateKey(ctx, org, id, time.Now().Add(time.Duration(overlap)*time.Second).UTC().Truncate(time.Second))
	})
}

// DeleteAPIKey revokes a key.
func (a *api) DeleteAPIKey(w http.ResponseWriter, r *http.Request, id string) {
	a.change(w, r, func(ctx context.Context, org string) (gabion.Operation, error) {
		key, err := a.ownKey(ctx, org, id)
		if err != nil {
			return gabion.Operation{}, err
		}
		if key.Operator && !callerOf(ctx).Operator {
			return gabion.Operation{}, gabion.Forbidden("an operator's key is deleted with an operator's key only")
		}
		return a.Store.DeleteKey(ctx, org, id)
	})
}

func keyBody(k gabion.Key) openapi.APIKey {
	return openapi.APIKey{
		Key: k.ID, Name: k.Name, Scopes: scopeBodies(k.Scopes), Operator: k.Operator,
		CreatedAt: k.Created, ExpiresAt: timeIf(k.Expires), LastUsedAt: timeIf(k.LastUsed),
	}
}

func scopeBodies(scopes []gabion.Scope) []openapi.Scope {
	bodies := make([]openapi.Scope, len(scopes))
	for i, scope := range scopes {
		bodies[i] = openapi.Scope(scope)
	}
	return bodies
}

// timeIf is the time, left out if it is none.
func timeIf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
