package client

import (
	"context"

	"github.com/gabion/gabion/client/rest"
)

// Hosts lists the hypervisors, by name. For operators only.
func (c *Client) Hosts(ctx context.Context) ([]rest.Host, error) {
	list, err := decode[rest.HostList](c.rest.ListHosts(ctx))
	return list.Hosts, err
}

// CreateHostToken makes a token with which the host of that name joins, once,
// within 15 minutes. For operators only.
func (c *Client) CreateHostToken(ctx context.Context, host string) (rest.HostToken, error) {
	return decode[rest.HostToken](c.rest.CreateHostToken(ctx, rest.CreateHostTokenRequest{Host: host}))
}

// DeleteHost forgets a host that has no instances. For operators only.
func (c *Client) DeleteHost(ctx context.Context, name string) (rest.Operation, error) {
	return decode[rest.Operation](c.rest.DeleteHost(ctx, name))
}
