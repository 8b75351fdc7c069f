package client

import (
	"context"
	"math"

	"github.com/gabion/gabion/client/rest"
)

// Session tells who the client's key is, and what it may do.
func (c *Client) Session(ctx context.Context) (rest.Session, error) {
	return decode[rest.Session](c.rest.GetSession(ctx))
}

// Organizations lists the organization of the client's key; for operators, all.
func (c *Client) Organizations(ctx context.Context) ([]rest.Organization, error) {
	list, err := decode[rest.OrganizationList](c.rest.ListOrganizations(ctx))
	return list.Organizations, err
}

// CreateOrganization creates an organization with its default group. For operators only.
func (c *Client) CreateOrganization(ctx context.Context, request rest.CreateOrganizationRequest) (rest.Operation, error) {
	return decode[rest.Operation](c.rest.CreateOrganization(ctx, request))
}

// UpdateOrganization changes an organization's name, quotas or hosts. For operators only.
func (c *Client) UpdateOrganization(ctx context.Context, id string, request rest.UpdateOrganizationRequest) (rest.Operation, error) {
	return decode[rest.Operation](c.rest.UpdateOrganization(ctx, id, request))
}

// DeleteOrganization deletes an organization that has no instances. For operators only.
func (c *Client) DeleteOrganization(ctx context.Context, id string) (rest.Operation, error) {
	return decode[rest.Operation](c.rest.DeleteOrganization(ctx, id))
}

// Quotas lists how much the organization may have, and how much it has.
func (c *Client) Quotas(ctx context.Context) ([]rest.Quota, error) {
	list, err := decode[rest.QuotaList](c.rest.ListQuotas(ctx))
	return list.Quotas, err
}

// AuditRecords lists a page of who did what, newest first. Without page.Before it
// begins with the newest.
func (c *Client) AuditRecords(ctx context.Context, page rest.ListAuditRecordsParams) ([]rest.AuditRecord, error) {
	if page.Before == 0 {
		page.Before = math.MaxInt64
	}
	list, err := decode[rest.AuditRecordList](c.rest.ListAuditRecords(ctx, &page))
	return list.Records, err
}
