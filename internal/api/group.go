package api

import (
	"context"
	"math"
	"net/http"
	"net/netip"

	"github.com/google/uuid"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
	"github.com/gabion/gabion/internal/policy"
)

// ListSecurityGroups answers the organization's groups with their rules.
func (a *api) ListSecurityGroups(w http.ResponseWriter, r *http.Request, params openapi.ListSecurityGroupsParams) {
	a.show(w, r, func(ctx context.Context, org string) (any, error) {
		list := openapi.SecurityGroupList{SecurityGroups: []openapi.SecurityGroup{}}
		switch params.Visibility {
		case openapi.ListSecurityGroupsParamsVisibilityPublic:
			return list, nil
		case openapi.ListSecurityGroupsParamsVisibilityPrivate, "":
		default:
			return nil, gabion.Invalid("visibility", "%q is neither; write private or public", params.Visibility)
		}
		var err error
		list.SecurityGroups, err = a.groups(ctx, org)
		return list, err
	})
}

// groups reads rules before groups: a rule whose group or peer is gone by then
// was itself deleted in between, and is left out.
func (a *api) groups(ctx context.Context, org string) ([]openapi.SecurityGroup, error) {
	rules, err := a.Store.Rules(ctx, org)
	if err != nil {
		return nil, err
	}
	groups, err := a.Store.Groups(ctx, org)
	if err != nil {
		return nil, err
	}
	primary, err := a.Store.PrimaryGroup(ctx, org)
	if err != nil {
		return nil, err
	}
	names, byGroup := namesOf(groups), map[string][]gabion.Rule{}
	for _, r := range rules {
		byGroup[r.Group] = append(byGroup[r.Group], r)
	}
	bodies := make([]openapi.SecurityGroup, len(groups))
	for i, g := range groups {
		bodies[i] = groupBody(g, byGroup[g.ID], names, primary)
	}
	return bodies, nil
}

// GetSecurityGroup answers one group with its rules.
func (a *api) GetSecurityGroup(w http.ResponseWriter, r *http.Request, id string) {
	a.show(w, r, func(ctx context.Context, org string) (any, error) {
		rules, err := a.Store.GroupRules(ctx, org, id)
		if err != nil {
			return nil, err
		}
		g, err := a.Store.Group(ctx, org, id)
		if err != nil {
			return nil, err
		}
		names, err := a.peerNames(ctx, org, rules)
		if err != nil {
			return nil, err
		}
		primary, err := a.Store.PrimaryGroup(ctx, org)
		if err != nil {
			return nil, err
		}
		return groupBody(g, rules, names, primary), nil
	})
}

// CreateSecurityGroup makes a group without rules.
func (a *api) CreateSecurityGroup(w http.ResponseWriter, r *http.Request) {
	a.change(w, r, func(ctx context.Context, org string) (gabion.Operation, error) {
		var body openapi.CreateSecurityGroupRequest
		if err := decode(r, &body); err != nil {
			return gabion.Operation{}, err
		}
		g := gabion.Group{ID: uuid.NewString(), Organization: org, Name: body.Name, Description: body.Description}
		if err := g.Validate(); err != nil {
			return gabion.Operation{}, err
		}
		return a.Store.CreateGroup(ctx, g)
	})
}

// UpdateSecurityGroup renames a group or describes it anew.
func (a *api) UpdateSecurityGroup(w http.ResponseWriter, r *http.Request, id string) {
	a.change(w, r, func(ctx context.Context, org string) (gabion.Operation, error) {
		var body openapi.UpdateSecurityGroupRequest
		if err := decodeOurs(r, &body); err != nil {
			return gabion.Operation{}, err
		}
		if body.Name == nil && body.Description == nil {
			return gabion.Operation{}, gabion.Invalid("name", "give a new name, a new description, or both")
		}
		return a.Store.UpdateGroup(ctx, org, id, func(g *gabion.Group) error {
			setIf(&g.Name, body.Name)
			setIf(&g.Description, body.Description)
			return g.Validate()
		})
	})
}

func setIf[T any](target, value *T) {
	if value != nil {
		*target = *value
	}
}

// DeleteSecurityGroup deletes a group that nobody uses.
func (a *api) DeleteSecurityGroup(w http.ResponseWriter, r *http.Request, id string) {
	a.change(w, r, func(ctx context.Context, org string) (gabion.Operation, error) {
		return a.Store.DeleteGroup(ctx, org, id)
	})
}

// MakePrimarySecurityGroup makes the group the one of new instances that name none.
func (a *api) MakePrimarySecurityGroup(w http.ResponseWriter, r *http.Request, id string) {
	a.change(w, r, func(ctx context.Context, org string) (gabion.Operation, error) {
		return a.Store.SetPrimaryGroup(ctx, org, id)
	})
}

// AddExternalSourceToSecurityGroup makes a network count as a member of the group.
func (a *api) AddExternalSourceToSecurityGroup(w http.ResponseWriter, r *http.Request, id string) {
	a.changeSource(w, r, id, a.Store.AddSource)
}

// RemoveExternalSourceFromSecurityGroup takes that back.
func (a *api) RemoveExternalSourceFromSecurityGroup(w http.ResponseWriter, r *http.Request, id string) {
	a.changeSource(w, r, id, a.Store.RemoveSource)
}

func (a *api) changeSource(w http.ResponseWriter, r *http.Request, id string,
	change func(ctx context.Context, org, group string, source netip.Prefix) (gabion.Operation, error),
) {
	a.change(w, r, func(ctx context.Context, org string) (gabion.Operation, error) {
		var body openapi.SourceRequest
		if err := decode(r, &body); err != nil {
			return gabion.Operation{}, err
		}
		source, err := gabion.ParseNetwork("cidr", body.Cidr)
		if err != nil {
			return gabion.Operation{}, err
		}
		return change(ctx, org, id, source)
	})
}

// AttachInstanceToSecurityGroup puts an instance into the group.
func (a *api) AttachInstanceToSecurityGroup(w http.ResponseWriter, r *http.Request, id string) {
	a.changeMembership(w, r, id, a.Store.AttachGroup)
}

// DetachInstanceFromSecurityGroup takes an instance out of the group.
func (a *api) DetachInstanceFromSecurityGroup(w http.ResponseWriter, r *http.Request, id string) {
	a.changeMembership(w, r, id, a.Store.DetachGroup)
}

func (a *api) changeMembership(w http.ResponseWriter, r *http.Request, id string,
	change func(ctx context.Context, org, instance, group string, stoppedOnly bool) (gabion.Operation, error),
) {
	a.change(w, r, func(ctx context.Context, org string) (gabion.Operation, error) {
		var body openapi.MembershipRequest
		if err := decode(r, &body); err != nil {
			return gabion.Operation{}, err
		}
		if err := requireID("instance.id", body.Instance.ID); err != nil {
			return gabion.Operation{}, err
		}
		return change(ctx, org, body.Instance.ID, id, !a.LiveGroupChanges)
	})
}

// requireID holds that a request's field is an id.
func requireID(field, id string) error {
	switch {
	case id == "":
		return gabion.Invalid(field, "is missing; give the id")
	case !isID(id):
		return gabion.Invalid(field, "%q is not an id; give one like 5a9a3c5e-7c0e-4f3c-9a4c-0c8f2f0f1a11", id)
	}
	return nil
}

// GetSecurityGroupUsage answers who uses the group.
func (a *api) GetSecurityGroupUsage(w http.ResponseWriter, r *http.Request, id string) {
	a.show(w, r, func(ctx context.Context, org string) (any, error) {
		primary, err := a.Store.PrimaryGroup(ctx, org)
		if err != nil {
			return nil, err
		}
		usage, err := lookUp(ctx, a, org, func(w *policy.World) *groupUsage { return usageOf(w, org, id) })
		if err != nil {
			return nil, err
		}
		if usage == nil {
			return nil, gabion.NotFound("security group", id)
		}
		members, _ := usage.instances.Find("", 0, math.MaxInt, memberOf(id))
		return openapi.SecurityGroupUsage{Primary: primary == id, Instances: memberBodies(members), Rules: usage.naming}, nil
	})
}

// groupUsage is what tells who uses a group, at one moment.
type groupUsage struct {
	instances policy.Directory[gabion.Instance] // members and others
	naming    []openapi.UsingRule
}

// usageOf is nil if the organization has no such group.
func usageOf(w *policy.World, org, id string) *groupUsage {
	g := groupOf(w, org, id)
	if g == nil {
		return nil
	}
	return &groupUsage{instances: w.Instances(org), naming: rulesNaming(w, g)}
}
