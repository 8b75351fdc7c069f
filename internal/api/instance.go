package api

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
)

// ListInstances answers the organization's instances that the filters let through.
func (a *api) ListInstances(w http.ResponseWriter, r *http.Request, params openapi.ListInstancesParams) {
	a.show(w, r, func(ctx context.Context, org string) (any, error) {
		matches, err := instanceFilter(params)
		if err != nil {
			return nil, err
		}
		found, err := a.Store.Instances(ctx, org)
		if err != nil {
			return nil, err
		}
		found = slices.DeleteFunc(found, func(i gabion.Instance) bool { return !matches(&i) })
		bodies, err := a.instanceBodies(ctx, org, found)
		return openapi.InstanceList{Instances: bodies}, err
	})
}

func instanceFilter(params openapi.ListInstancesParams) (func(*gabion.Instance) bool, error) {
	labels := map[string]string{}
	for pair := range strings.SplitSeq(params.Labels, ",") {
		key, value, ok := strings.Cut(pair, ":")
		if !ok && params.Labels != "" {
			return nil, gabion.Invalid("labels", "%q is not a label; write key:value, several separated by commas", pair)
		}
		labels[key] = value
	}
	var address netip.Addr
	if params.IPAddress != "" {
		var err error
		if address, err = netip.ParseAddr(params.IPAddress); err != nil {
			return nil, gabion.Invalid("ip-address", "%q is not an address; write one like 10.0.0.7", params.IPAddress)
		}
	}
	managed := params.ManagerID != "" || params.ManagerType != ""
	return func(i *gabion.Instance) bool {
		return !managed && (!address.IsValid() || owns(i, address)) && (params.Labels == "" || hasLabels(i, labels))
	}, nil
}

func owns(i *gabion.Instance, address netip.Addr) bool {
	return slices.ContainsFunc(i.NICs, func(n gabion.NIC) bool { return slices.Contains(n.Addresses, address) })
}

func hasLabels(i *gabion.Instance, labels map[string]string) bool {
	for key, value := range labels {
		if has, ok := i.Labels[key]; !ok || has != value {
			return false
		}
	}
	return true
}

// GetInstance answers one instance.
func (a *api) GetInstance(w http.ResponseWriter, r *http.Request, id string) {
	a.show(w, r, func(ctx context.Context, org string) (any, error) {
		found, err := a.Store.Instance(ctx, org, id)
		if err != nil {
			return nil, err
		}
		bodies, err := a.pageBodies(ctx, org, []*gabion.Instance{&found})
		if err != nil {
			return nil, err
		}
		return bodies[0], nil
	})
}

// CreateInstance registers an instance.
func (a *api) CreateInstance(w http.ResponseWriter, r *http.Request) {
	a.change(w, r, func(ctx context.Context, org string) (gabion.Operation, error) {
		var body openapi.CreateInstanceRequest
		if err := decode(r, &body); err != nil {
			return gabion.Operation{}, err
		}
		i, err := newInstance(org, body)
		if err != nil {
			return gabion.Operation{}, err
		}
		return a.Store.CreateInstance(ctx, i)
	})
}

// DeleteInstance forgets an instance.
func (a *api) DeleteInstance(w http.ResponseWriter, r *http.Request, id string) {
	a.change(w, r, func(ctx context.Context, org string) (gabion.Operation, error) {
		return a.Store.DeleteInstance(ctx, org, id)
	})
}

// UpdateInstance changes an instance's name, labels, host or interfaces.
func (a *api) UpdateInstance(w http.ResponseWriter, r *http.Request, id string) {
	a.change(w, r, func(ctx context.Context, org string) (gabion.Operation, error) {
		var body openapi.UpdateInstanceRequest
		if err := decode(r, &body); err != nil {
			return gabion.Operation{}, err
		}
		var nics []gabion.NIC
		if body.Interfaces != nil {
			var err error
			if nics, err = newNICs(*body.Interfaces); err != nil {
				return gabion.Operation{}, err
			}
		}
		return a.Store.UpdateInstance(ctx, org, id, func(i *gabion.Instance) error {
			setIf(&i.Name, body.Name)
			setIf(&i.Host, body.Host)
			setIf(&i.Labels, (*map[string]string)(body.Labels))
			if body.Interfaces != nil {
				i.NICs = nics
			}
			return i.Validate()
		})
	})
}

// AddInstanceProtection protects an instance from being deleted.
func (a *api) AddInstanceProtection(w http.ResponseWriter, r *http.Request, id string) {
	a.protect(w, r, id, true)
}

// RemoveInstanceProtection takes that back.
func (a *api) RemoveInstanceProtection(w http.ResponseWriter, r *http.Request, id string) {
	a.protect(w, r, id, false)
}

func (a *api) protect(w http.ResponseWriter, r *http.Request, id string, protected bool) {
	a.change(w, r, func(ctx context.Context, org string) (gabion.Operation, error) {
		return a.Store.UpdateInstance(ctx, org, id, func(i *gabion.Instance) error {
			i.Protected = protected
			return nil
		})
	})
}

// StartInstance marks an instance without a host as running.
func (a *api) StartInstance(w http.ResponseWriter, r *http.Request, id string) {
	a.setState(w, r, id, "start", gabion.Running)
}

// StopInstance marks an instance without a host as stopped.
func (a *api) StopInstance(w http.ResponseWriter, r *http.Request, id string) {
	a.setState(w, r, id, "stop", gabion.Stopped)
}

// RebootInstance marks an instance without a host as running.
func (a *api) RebootInstance(w http.ResponseWriter, r *http.Request, id string) {
	a.setState(w, r, id, "reboot", gabion.Running)
}

// setState records what somebody says of an instance that no host watches.
func (a *api) setState(w http.ResponseWriter, r *http.Request, id, verb string, state gabion.InstanceState) {
	a.change(w, r, func(ctx context.Context, org string) (gabion.Operation, error) {
		i, err := a.Store.Instance(ctx, org, id)
		if err != nil {
			return gabion.Operation{}, err
		}
		if i.Host != "" {
			return gabion.Operation{}, gabion.Conflict(
				"instance %q is on host %q, and Gabion reports what that host sees of it; %s it there, on its hypervisor", i.Name, i.Host, verb)
		}
		return a.Store.SetState(ctx, org, id, state)
	})
}

func newInstance(org string, body openapi.CreateInstanceRequest) (gabion.Instance, error) {
	i := gabion.Instance{ID: uuid.NewString(), Organization: org, Name: body.Name, Host: body.Host, Labels: body.Labels}
	var err error
	if i.Groups, err = newMemberships(body.SecurityGroups); err != nil {
		return i, err
	}
	if i.NICs, err = newNICs(body.Interfaces); err != nil {
		return i, err
	}
	return i, i.Validate()
}
