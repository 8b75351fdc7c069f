package api

import (
	"context"
	"net/http"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
)

// ListQuotas answers how much the organization may have, and how much it has.
func (a *api) ListQuotas(w http.ResponseWriter, r *http.Request) {
	a.show(w, r, func(ctx context.Context, org string) (any, error) {
		o, err := a.Store.Organization(ctx, org)
		if err != nil {
			return nil, err
		}
		usage, err := a.Store.Usage(ctx, org)
		return quotaList(usage, o.Quotas), err
	})
}

func quotaList(usage gabion.Usage, limit gabion.Quotas) openapi.QuotaList {
	quota := func(resource openapi.QuotaResource, usage, limit int) openapi.Quota {
		return openapi.Quota{Resource: resource, Usage: int64(usage), Limit: int64(limit)}
	}
	return openapi.QuotaList{Quotas: []openapi.Quota{
		quota(openapi.QuotaResourceSecurityGroup, usage.Groups, limit.Groups),
		quota(openapi.QuotaResourceSecurityGroupRule, usage.RulesPerGroup, limit.RulesPerGroup),
		quota(openapi.QuotaResourceInstanceSecurityGroup, usage.GroupsPerInstance, limit.GroupsPerInstance),
		quota(openapi.QuotaResourceInstance, usage.Instances, limit.Instances),
		quota(openapi.QuotaResourceAPIKey, usage.Keys, limit.Keys),
	}}
}

func quotasBody(q gabion.Quotas) openapi.Quotas {
	return openapi.Quotas{
		SecurityGroups: q.Groups, RulesPerSecurityGroup: q.RulesPerGroup,
		SecurityGroupsPerInstance: q.GroupsPerInstance, Instances: q.Instances, APIKeys: q.Keys,
	}
}
