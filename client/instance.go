package client

import (
	"context"

	"github.com/gabion/gabion/client/rest"
)

// Instances lists the instances, in order of creation.
func (c *Client) Instances(ctx context.Context) ([]rest.Instance, error) {
	list, err := decode[rest.InstanceList](c.rest.ListInstances(ctx, nil))
	return list.Instances, err
}

// Instance shows one instance.
func (c *Client) Instance(ctx context.Context, id string) (rest.Instance, error) {
	return decode[rest.Instance](c.rest.GetInstance(ctx, id))
}

// CreateInstance registers an instance, so that its interfaces are filtered.
func (c *Client) CreateInstance(ctx context.Context, request rest.CreateInstanceRequest) (rest.Operation, error) {
	return decode[rest.Operation](c.rest.CreateInstance(ctx, request))
}

// UpdateInstance changes an instance's name or labels, or where it runs.
func (c *Client) UpdateInstance(ctx context.Context, id string, request rest.UpdateInstanceRequest) (rest.Operation, error) {
	return decode[rest.Operation](c.rest.UpdateInstance(ctx, id, request))
}

// DeleteInstance forgets an instance.
func (c *Client) DeleteInstance(ctx context.Context, id string) (rest.Operation, error) {
	return decode[rest.Operation](c.rest.DeleteInstance(ctx, id))
}

// StartInstance marks an instance without a host as running.
func (c *Client) StartInstance(ctx context.Context, id string) (rest.Operation, error) {
	return decode[rest.Operation](c.rest.StartInstance(ctx, id))
}

// StopInstance marks an instance without a host as stopped.
func (c *Client) StopInstance(ctx context.Context, id string) (rest.Operation, error) {
	return decode[rest.Operation](c.rest.StopInstance(ctx, id))
}

// Attach attaches an instance to a security group.
func (c *Client) Attach(ctx context.Context, instance, group string) (rest.Operation, error) {
	request := rest.MembershipRequest{Instance: rest.Identified{ID: instance}}
	return decode[rest.Operation](c.rest.AttachInstanceToSecurityGroup(ctx, group, request))
}

// Detach detaches an instance from a security group.
func (c *Client) Detach(ctx context.Context, instance, group string) (rest.Operation, error) {
	request := rest.MembershipRequest{Instance: rest.Identified{ID: instance}}
	return decode[rest.Operation](c.rest.DetachInstanceFromSecurityGroup(ctx, group, request))
}

// RebootInstance marks an instance without a host as running.
func (c *Client) RebootInstance(ctx context.Context, id string) (rest.Operation, error) {
	return decode[rest.Operation](c.rest.RebootInstance(ctx, id))
}

// ProtectInstance protects an instance from being deleted.
func (c *Client) ProtectInstance(ctx context.Context, id string) (rest.Operation, error) {
	return decode[rest.Operation](c.rest.AddInstanceProtection(ctx, id))
}

// UnprotectInstance lets an instance be deleted again.
func (c *Client) UnprotectInstance(ctx context.Context, id string) (rest.Operation, error) {
	return decode[rest.Operation](c.rest.RemoveInstanceProtection(ctx, id))
}
