package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gabion/gabion"
)

type keyRecord struct {
	Secret       []byte    `json:"secret"` // sealed
	Name         string    `json:"name"`
	Organization string    `json:"organization"`
	Operator     bool      `json:"operator,omitempty"`
	Created      time.Time `json:"created"`
}

// Key is an API key, with its secret.
func (s *Store) Key(ctx context.Context, id string) (gabion.Key, error) {
	if !isID(id) {
		return gabion.Key{}, gabion.NotFound("API key", id)
	}
	kv, err := s.get(ctx, apiKeyKey(id))
	if err != nil {
		return gabion.Key{}, err
	}
	if kv == nil {
		return gabion.Key{}, gabion.NotFound("API key", id)
	}
	var r keyRecord
	if err := json.Unmarshal(kv.Value, &r); err != nil {
		return gabion.Key{}, fmt.Errorf("decode %s: %w", kv.Key, err)
	}
	secret, err := s.sealer.open(r.Secret, id)
	return gabion.Key{
		ID: id, Secret: secret, Name: r.Name, Organization: r.Organization, Operator: r.Operator, Created: r.Created,
	}, err
}

func (t *txn) putAPIKey(k gabion.Key, sealer *Sealer) error {
	return t.put(apiKeyKey(k.ID), keyRecord{
		Secret: sealer.seal(k.Secret, k.ID), Name: k.Name, Organization: k.Organization,
		Operator: k.Operator, Created: k.Created,
	})
}
