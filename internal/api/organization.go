package api

import (
	"context"
	"net/http"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
)

// maxGrantedHosts is how many hosts one organization is granted by name.
const maxGrantedHosts = 1000

// ListOrganizations answers the caller's own; to an operator, all.
func (a *api) ListOrganizations(w http.ResponseWriter, r *http.Request) {
	a.show(w, r, func(ctx context.Context, org string) (any, error) {
		found, err := a.organizations(ctx, org)
		list := openapi.OrganizationList{Organizations: make([]openapi.Organization, len(found))}
		for i, o := range found {
			list.Organizations[i] = organizationBody(o)
		}
		return list, err
	})
}

func (a *api) organizations(ctx context.Context, org string) ([]gabion.Organization, error) {
	if callerOf(ctx).Operator {
		return a.Store.Organizations(ctx)
	}
	own, err := a.Store.Organization(ctx, org)
	return []gabion.Organization{own}, err
}

// GetOrganization answers one organization. To others than operators there is no
// other than their own.
func (a *api) GetOrganization(w http.ResponseWriter, r *http.Request, id string) {
	a.show(w, r, func(ctx context.Context, org string) (any, error) {
		if id != org && !callerOf(ctx).Operator {
			err := gabion.NotFound("organization", id)
			a.deny(r, callerOf(ctx).Key, err)
			return nil, err
		}
		o, err := a.Store.Organization(ctx, id)
		return organizationBody(o), err
	})
}

// CreateOrganization makes an organization with its default group.
func (a *api) CreateOrganization(w http.ResponseWriter, r *http.Request) {
	a.change(w, r, func(ctx context.Context, _ string) (gabion.Operation, error) {
		var body openapi.CreateOrganizationRequest
		if err := decodeOurs(r, &body); err != nil {
			return gabion.Operation{}, err
		}
		o := gabion.Organization{Name: body.Name, Quotas: gabion.DefaultQuotas()}
		if err := changeOrganization(&o, nil, body.Quotas, body.Hosts); err != nil {
			return gabion.Operation{}, err
		}
		return a.Store.CreateOrganization(ctx, o)
	})
}

// UpdateOrganization changes an organization's name, quotas or hosts.
func (a *api) UpdateOrganization(w http.ResponseWriter, r *http.Request, id string) {
	a.change(w, r, func(ctx context.Context, _ string) (gabion.Operation, error) {
		var body openapi.UpdateOrganizationRequest
		if err := decodeOurs(r, &body); err != nil {
			return gabion.Operation{}, err
		}
		if body == (openapi.UpdateOrganizationRequest{}) {
			return gabion.Operation{}, gabion.Invalid("name", "give a new name, quotas or hosts")
		}
		return a.Store.UpdateOrganization(ctx, id, func(o *gabion.Organization) error {
			return changeOrganization(o, body.Name, body.Quotas, body.Hosts)
		})
	})
}

// DeleteOrganization deletes an organization that has no instances.
func (a *api) DeleteOrganization(w http.ResponseWriter, r *http.Request, id string) {
	a.change(w, r, func(ctx context.Context, _ string) (gabion.Operation, error) {
		return a.Store.DeleteOrganization(ctx, id)
	})
}

// changeOrganization changes what is given, and holds that the result makes sense.
func changeOrganization(o *gabion.Organization, name *string, quotas openapi.QuotaChanges, hosts *[]string) error {
	setIf(&o.Name, name)
	setIf(&o.Quotas.Groups, quotas.SecurityGroups)
	setIf(&o.Quotas.RulesPerGroup, quotas.RulesPerSecurityGroup)
	setIf(&o.Quotas.GroupsPerInstance, quotas.SecurityGroupsPerInstance)
	setIf(&o.Quotas.Instances, quotas.Instances)
	setIf(&o.Quotas.Keys, quotas.APIKeys)
	setIf(&o.Hosts, hosts)
	if n := len(o.Hosts); n > maxGrantedHosts {
		return gabion.Invalid("hosts", "are %d; give at most %d, or %q for every host", n, maxGrantedHosts, gabion.AnyHost)
	}
	return o.Validate()
}

func organizationBody(o gabion.Organization) openapi.Organization {
	return openapi.Organization{
		ID: o.ID, Name: o.Name, CreatedAt: o.Created, Quotas: quotasBody(o.Quotas),
		Hosts: append([]string{}, o.Hosts...),
	}
}
