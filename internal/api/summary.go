package api

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
)

// page is the part of a list that is asked for.
type page struct {
	search        string // in lower case
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
	return page{search: strings.ToLower(search), offset: offset, limit: limit}, nil
}

// maxSearch is how long what is searched may be, in bytes.
const maxSearch = 255

// has tells whether one of the texts contains what is searched.
func (p page) has(texts ...string) bool {
	return p.search == "" || slices.ContainsFunc(texts, func(text string) bool {
		return strings.Contains(strings.ToLower(text), p.search)
	})
}

// cut is the page's part of what was found, which it puts in order of names.
func cut[T any](p page, found []T, name func(*T) string) []T {
	slices.SortStableFunc(found, func(a, b T) int {
		return cmp.Or(cmp.Compare(strings.ToLower(name(&a)), strings.ToLower(name(&b))), cmp.Compare(name(&a), name(&b)))
	})
	begin := min(p.offset, len(found))
	return found[begin:min(begin+p.limit, len(found))]
}

// ListSecurityGroupSummaries answers a page of groups with what there is to say of each.
func (a *api) ListSecurityGroupSummaries(w http.ResponseWriter, r *http.Request, params openapi.ListSecurityGroupSummariesParams) {
	a.show(w, r, func(ctx context.Context, org string) (any, error) {
		p, err := pageOf(r, params.Search, params.Offset, params.Limit)
		if err != nil {
			return nil, err
		}
		groups, err := a.Store.Groups(ctx, org)
		if err != nil {
			return nil, err
		}
		groups = slices.DeleteFunc(groups, func(g gabion.Group) bool { return !p.has(g.Name, g.Description, g.ID) })
		list := openapi.SecurityGroupSummaryList{Total: len(groups)}
		list.SecurityGroups, err = a.groupSummaries(ctx, org, cut(p, groups, func(g *gabion.Group) string { return g.Name }))
		return list, err
	})
}

func (a *api) groupSummaries(ctx context.Context, org string, groups []gabion.Group) ([]openapi.SecurityGroupSummary, error) {
	bodies, at := make([]openapi.SecurityGroupSummary, len(groups)), make(map[string]*openapi.SecurityGroupSummary, len(groups))
	for i, g := range groups {
		bodies[i] = openapi.SecurityGroupSummary{
			ID: g.ID, Name: g.Name, Description: g.Description, Default: g.Name == gabion.DefaultGroupName,
		}
		at[g.ID] = &bodies[i]
	}
	primary, err := a.Store.PrimaryGroup(ctx, org)
	if err != nil {
		return nil, err
	}
	if body := at[primary]; body != nil {
		body.Primary = true
	}
	if err := a.countRules(ctx, org, at); err != nil {
		return nil, err
	}
	return bodies, a.countMembers(ctx, org, at)
}

// countRules counts the groups' own rules and their hits, and the other groups whose
// rules name them.
func (a *api) countRules(ctx context.Context, org string, at map[string]*openapi.SecurityGroupSummary) error {
	rules, err := a.Store.Rules(ctx, org)
	if err != nil {
		return err
	}
	hits, err := a.Flows.Hits(ctx)
	if err != nil {
		return err
	}
	type naming struct{ holder, peer string }
	counted := map[naming]bool{}
	for _, r := range rules {
		if body := at[r.Group]; body != nil {
			body.Rules++
			body.HitsLastHour += int64(hits[r.ID].LastHour)
		}
		n := naming{r.Group, r.Peer.Group}
		if body := at[n.peer]; body != nil && n.holder != n.peer && !counted[n] {
			counted[n] = true
			body.UsedBy++
		}
	}
	return nil
}

func (a *api) countMembers(ctx context.Context, org string, at map[string]*openapi.SecurityGroupSummary) error {
	instances, err := a.Store.Instances(ctx, org)
	if err != nil {
		return err
	}
	for _, i := range instances {
		for _, group := range i.Groups {
			if body := at[group]; body != nil {
				body.Members++
			}
		}
	}
	return nil
}

// ListInstanceSummaries answers a page of instances.
func (a *api) ListInstanceSummaries(w http.ResponseWriter, r *http.Request, params openapi.ListInstanceSummariesParams) {
	a.show(w, r, func(ctx context.Context, org string) (any, error) {
		p, err := pageOf(r, params.Search, params.Offset, params.Limit)
		if err != nil {
			return nil, err
		}
		instances, err := a.Store.Instances(ctx, org)
		if err != nil {
			return nil, err
		}
		instances = slices.DeleteFunc(instances, func(i gabion.Instance) bool { return !isMember(&i, params.SecurityGroup) || !p.hasInstance(&i) })
		list := openapi.InstanceSummaryList{Total: len(instances)}
		list.Instances, err = a.instanceBodies(ctx, org, cut(p, instances, func(i *gabion.Instance) string { return i.Name }))
		return list, err
	})
}

// isMember tells whether the instance belongs to the group; to none asked for, every one does.
func isMember(i *gabion.Instance, group string) bool {
	return group == "" || slices.Contains(i.Groups, group)
}

func (p page) hasInstance(i *gabion.Instance) bool {
	if p.has(i.Name, i.ID, i.Host) {
		return true
	}
	return slices.ContainsFunc(i.NICs, func(n gabion.NIC) bool {
		return slices.ContainsFunc(n.Addresses, func(a netip.Addr) bool { return p.has(a.String()) })
	})
}
