package store

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/gabion/gabion"
)

type groupRecord struct {
	Name        string         `json:"name"`
	Description string         `json:"description,omitempty"`
	Sources     []netip.Prefix `json:"sources,omitempty"`
	Created     time.Time      `json:"created"`
}

func groupOf(g gabion.Group) groupRecord {
	return groupRecord{Name: g.Name, Description: g.Description, Sources: g.Sources, Created: g.Created}
}

func decodeGroup(kv *mvccpb.KeyValue) (gabion.Group, error) {
	var r groupRecord
	if err := json.Unmarshal(kv.Value, &r); err != nil {
		return gabion.Group{}, damaged(kv, err)
	}
	at := placeOf(kv.Key)
	g := gabion.Group{
		ID: at.rest, Organization: at.org, Name: r.Name, Description: r.Description,
		Sources: r.Sources, Created: r.Created,
	}
	if err := g.Validate(); err != nil {
		return gabion.Group{}, damaged(kv, err)
	}
	return g, nil
}

// Groups are the groups of the organization, in order of creation.
func (s *Store) Groups(ctx context.Context, org string) ([]gabion.Group, error) {
	return all(ctx, s, orgKey(org, "group", ""), decodeGroup)
}

// Group is one group.
func (s *Store) Group(ctx context.Context, org, id string) (gabion.Group, error) {
	return one(ctx, s, "security group", id, groupKey(org, id), decodeGroup)
}

// group reads a group inside a transaction.
func (t *txn) group(org, id string) (gabion.Group, error) {
	return object(t, "security group", id, groupKey(org, id), decodeGroup)
}

// CreateGroup stores a new group. It gets an id if it has none.
func (s *Store) CreateGroup(ctx context.Context, g gabion.Group) (gabion.Operation, error) {
	if g.ID == "" {
		g.ID = uuid.NewString()
	}
	g.Created = now()
	if err := validateGroup(&g); err != nil {
		return gabion.Operation{}, err
	}
	c := command{
		org: g.Organization, name: "create-security-group", kind: groupKind, subject: g.ID,
		reads:  []string{groupKey(g.Organization, g.ID), groupNameKey(g.Organization, g.Name)},
		counts: []string{groupsOf(g.Organization)},
	}
	return s.change(ctx, c, func(t *txn) error {
		if err := t.roomForGroup(g.Organization); err != nil {
			return err
		}
		t.after = groupSaid(g, nil)
		return t.createGroup(g)
	})
}

func (t *txn) createGroup(g gabion.Group) error {
	key := groupKey(g.Organization, g.ID)
	if err := t.requireNew("security group", g.ID, key); err != nil {
		return err
	}
	if err := t.claimGroupName(g); err != nil {
		return err
	}
	return t.put(key, groupOf(g))
}

func (t *txn) claimGroupName(g gabion.Group) error {
	return t.claim(groupNameKey(g.Organization, g.Name), holder{ID: g.ID}, func(other holder) error {
		return gabion.Conflict("there is a security group %q already: its id is %s; choose another name", g.Name, other.ID)
	})
}

// validateGroup holds a group against what the root package asks, and its
// sources against each other.
func validateGroup(g *gabion.Group) error {
	if !isID(g.ID) {
		return gabion.Invalid("id", "%q is not an id", g.ID)
	}
	if err := g.Validate(); err != nil {
		return err
	}
	for i, source := range g.Sources {
		if err := validateSource(source); err != nil {
			return err
		}
		if slices.Contains(g.Sources[:i], source) {
			return gabion.Invalid("external-sources", "%s is there twice; name it once", source)
		}
	}
	return nil
}

// ofGroup is a command on a group that exists.
func ofGroup(org, name, id string, reads ...string) command {
	return command{org: org, name: name, kind: groupKind, subject: id, reads: append(reads, groupKey(org, id))}
}

// updateGroup changes a group that exists, as edit says.
func (s *Store) updateGroup(ctx context.Context, org, id, name string, edit func(*gabion.Group) error) (gabion.Operation, error) {
	return s.change(ctx, ofGroup(org, name, id), func(t *txn) error {
		old, err := t.group(org, id)
		if err != nil {
			return err
		}
		g := old
		g.Sources = slices.Clone(old.Sources)
		if err := edit(&g); err != nil {
			return err
		}
		g.ID, g.Organization, g.Created = old.ID, old.Organization, old.Created
		if err := validateGroup(&g); err != nil {
			return err
		}
		if err := t.renameGroup(old, g); err != nil {
			return err
		}
		t.before, t.after = groupChange(old, g)
		return t.put(groupKey(org, id), groupOf(g))
	})
}

func (t *txn) renameGroup(old, g gabion.Group) error {
	if old.Name == g.Name {
		return nil
	}
	if old.Name == gabion.DefaultGroupName {
		return gabion.Conflict("the default security group can't be renamed: create another, and make it the primary one")
	}
	t.delete(groupNameKey(old.Organization, old.Name))
	return t.claimGroupName(g)
}

// UpdateGroup changes what change changes: name, description and sources. It may
// call change more than once, each time with the group as it is then.
func (s *Store) UpdateGroup(ctx context.Context, org, id string, change func(*gabion.Group) error) (gabion.Operation, error) {
	return s.updateGroup(ctx, org, id, "update-security-group", change)
}

// DeleteGroup deletes a group that nobody uses, with its rules.
func (s *Store) DeleteGroup(ctx context.Context, org, id string) (gabion.Operation, error) {
	return s.change(ctx, ofGroup(org, "delete-security-group", id, primaryKey(org)), func(t *txn) error {
		g, err := t.group(org, id)
		if err != nil {
			return err
		}
		if g.Name == gabion.DefaultGroupName {
			return gabion.Conflict("the default security group can't be deleted")
		}
		if err := t.refusePrimary(g); err != nil {
			return err
		}
		if err := t.refuseUsed(org, id, g.Name); err != nil {
			return err
		}
		if err := t.deleteRulesOf(org, id); err != nil {
			return err
		}
		t.before = groupSaid(g, nil)
		t.delete(groupNameKey(org, g.Name))
		t.delete(groupKey(org, id))
		return nil
	})
}

// deleteRulesOf deletes the rules of a group, and what they hold of other groups.
func (t *txn) deleteRulesOf(org, group string) error {
	prefix := rulesOf(org, group)
	rules, err := t.list(prefix)
	if err != nil {
		return err
	}
	peers := map[string]bool{}
	var unreadable []string
	for _, kv := range rules {
		r, err := decodeRule(kv)
		if err != nil {
			unreadable = append(unreadable, strings.TrimPrefix(string(kv.Key), prefix))
			continue
		}
		if names := namedGroup(&r); names != "" && !peers[names] {
			peers[names] = true
			t.deletePrefix(ruleUsePrefix(org, names, group))
		}
	}
	t.deletePrefix(prefix)
	t.deletePrefix(equalRuleKey(org, group, ""))
	return t.releaseDamaged(org, group, unreadable)
}

// AddSource makes a prefix an external source of the group.
func (s *Store) AddSource(ctx context.Context, org, group string, source netip.Prefix) (gabion.Operation, error) {
	return s.updateGroup(ctx, org, group, "add-external-source-to-security-group", func(g *gabion.Group) error {
		if slices.Contains(g.Sources, source) {
			return gabion.Conflict("%s is an external source of security group %q already", source, g.Name)
		}
		g.Sources = append(g.Sources, source)
		return nil
	})
}

// RemoveSource takes an external source out of the group.
func (s *Store) RemoveSource(ctx context.Context, org, group string, source netip.Prefix) (gabion.Operation, error) {
	return s.updateGroup(ctx, org, group, "remove-external-source-from-security-group", func(g *gabion.Group) error {
		i := slices.Index(g.Sources, source)
		if i < 0 {
			return gabion.NotFound("external source", source.String())
		}
		g.Sources = slices.Delete(g.Sources, i, i+1)
		return nil
	})
}

func validateSource(p netip.Prefix) error {
	if !p.IsValid() {
		return gabion.Invalid("cidr", "is not a network; write one like 203.0.113.0/24 or 2001:db8::/32")
	}
	_, err := gabion.ParseNetwork("cidr", p.String())
	return err
}
