package api

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
	"github.com/gabion/gabion/internal/policy"
)

// page is the part of a list that is asked for.
type page struct {
	search        string
	offset, limit int
}

func pageOf(r *http.Request, search string, offset, limit int) (page, error) {
	if !r.URL.Query().Has("limit") {
		limit = usualPage
	}
	switch {
	case len(search) > maxSearch:
		return page{}, gabion.Invalid("search", "has %d bytes; give at most %d", len(search), maxSearch)
	case offset < 0:
		return page{}, gabion.Invalid("offset", "%d is out of range; give 0 or more", offset)
	case limit < 1 || limit > maxPage:
		return page{}, gabion.Invalid("limit", "%d is out of range; give 1 to %d", limit, maxPage)
	}
	return page{search: search, offset: offset, limit: limit}, nil
}

// maxSearch is how long what is searched may be, in bytes.
const maxSearch = 255

// ListSecurityGroupSummaries answers a page of groups with what there is to say of each.
func (a *api) ListSecurityGroupSummaries(w http.ResponseWriter, r *http.Request, params openapi.ListSecurityGroupSummariesParams) {
	a.show(w, r, func(ctx context.Context, org string) (any, error) {
		p, err := pageOf(r, params.Search, params.Offset, params.Limit)
		if err != nil {
			return nil, err
		}
		all, err := lookUp(ctx, a, org, func(world *policy.World) policy.Directory[gabion.Group] { return world.Groups(org) })
		if err != nil {
			return nil, err
		}
		groups, total := all.Find(p.search, p.offset, p.limit, nil)
		bodies, err := a.groupSummaries(ctx, org, groups)
		return openapi.SecurityGroupSummaryList{Total: total, SecurityGroups: bodies}, err
	})
}

func (a *api) groupSummaries(ctx context.Context, org string, groups []*gabion.Group) ([]openapi.SecurityGroupSummary, error) {
	primary, err := a.Store.PrimaryGroup(ctx, org)
	if err != nil {
		return nil, err
	}
	bodies, of := make([]openapi.SecurityGroupSummary, len(groups)), map[string]*openapi.SecurityGroupSummary{} // by rule id
	err = a.inspect(ctx, 0, func(world *policy.World) {
		for i, g := range groups {
			bodies[i] = groupSummary(g, world.Standing(g.ID), g.ID == primary)
			for r := range world.Rules(g.ID) {
				of[r.ID] = &bodies[i]
			}
		}
	})
	if err != nil {
		return nil, err
	}
	hits, err := a.Flows.Hits(ctx, slices.Collect(maps.Keys(of)))
	for id, h := range hits {
		of[id].HitsLastHour += int64(h.LastHour)
	}
	return bodies, err
}

func groupSummary(g *gabion.Group, s policy.Standing, primary bool) openapi.SecurityGroupSummary {
	return openapi.SecurityGroupSummary{
		ID: g.ID, Name: g.Name, Description: g.Description, Primary: primary, Default: g.Name == gabion.DefaultGroupName,
		Rules: s.Rules, Members: s.Members, UsedBy: s.Users,
	}
}

// ListInstanceSummaries answers a page of instances.
func (a *api) ListInstanceSummaries(w http.ResponseWriter, r *http.Request, params openapi.ListInstanceSummariesParams) {
	a.show(w, r, func(ctx context.Context, org string) (any, error) {
		p, err := pageOf(r, params.Search, params.Offset, params.Limit)
		if err != nil {
			return nil, err
		}
		all, err := lookUp(ctx, a, org, func(world *policy.World) policy.Directory[gabion.Instance] { return world.Instances(org) })
		if err != nil {
			return nil, err
		}
		instances, total := all.Find(p.search, p.offset, p.limit, memberOf(params.SecurityGroup))
		bodies, err := a.pageBodies(ctx, org, instances)
		return openapi.InstanceSummaryList{Total: total, Instances: bodies}, err
	})
}

// memberOf tells instances of the group; to none asked for, every one belongs.
func memberOf(group string) func(*gabion.Instance) bool {
	if group == "" {
		return nil
	}
	return func(i *gabion.Instance) bool { return slices.Contains(i.Groups, group) }
}
