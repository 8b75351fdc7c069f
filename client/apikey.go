package client

import (
	"context"

	"github.com/gabion/gabion/client/rest"
)

// Keys lists the organization's API keys, without secrets, in order of creation.
func (c *Client) Keys(ctx context.Context) ([]rest.APIKey, error) {
	list, err := decode[rest.APIKeyList](c.rest.ListAPIKeys(ctx))
	return list.APIKeys, err
}

// CreateKey makes an API key. The answer holds its secret, this once.
func (c *Client) CreateKey(ctx context.Context, request rest.CreateAPIKeyRequest) (rest.CreatedAPIKey, error) {
	return decode[rest.CreatedAPIKey](c.rest.CreateAPIKey(ctx, request))
}

// CreateKeyFor makes an API key of another organization. For operators only.
func (c *Client) CreateKeyFor(ctx context.Context, organization string, request rest.CreateAPIKeyRequest) (rest.CreatedAPIKey, error) {
	return decode[rest.CreatedAPIKey](c.rest.CreateOrganizationAPIKey(ctx, organization, request))
}

// RotateKey makes a successor of a key; the old one works on for the seconds asked.
func (c *Client) RotateKey(ctx context.Context, key string, request rest.RotateAPIKeyRequest) (rest.CreatedAPIKey, error) {
	return decode[rest.CreatedAPIKey](c.rest.RotateAPIKey(ctx, key, request))
}

// DeleteKey revokes a key at once.
func (c *Client) DeleteKey(ctx context.Context, key string) (rest.Operation, error) {
	return decode[rest.Operation](c.rest.DeleteAPIKey(ctx, key))
}
