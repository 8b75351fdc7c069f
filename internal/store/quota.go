package store

import (
	"context"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gabion/gabion"
)

// bound is a quota and what there is of it.
type bound struct {
	owner  string // such as "organization" or `security group "web"`
	things string // such as "rules"
	have   int64
	limit  int
	remedy string // what to do to get room; "delete one" if empty
}

// room refuses n more if they would be too many.
func (b bound) room(n int) error {
	if b.have+int64(n) <= int64(b.limit) {
		return nil
	}
	wanted := ""
	if n > 1 {
		wanted = fmt.Sprintf(" and %d more are asked for", n)
	}
	remedy := b.remedy
	if remedy == "" {
		remedy = "delete one"
	}
	return &gabion.Error{
		Code:    gabion.CodeLimit,
		Message: fmt.Sprintf("%s has %d of %d %s%s: %s or ask your operator for more", b.owner, b.have, b.limit, b.things, wanted, remedy),
	}
}

// count is how many keys there are below a prefix.
func (t *txn) count(prefix string) (int64, error) {
	if n, known := t.counts[prefix]; known {
		return n, nil
	}
	err := t.ask(t.counting([]string{prefix}))
	return t.counts[prefix], err
}

// Prefixes of what quotas bound, below which each key is one of them.
func groupsOf(org string) string       { return orgKey(org, "group", "") }
func rulesOf(org, group string) string { return orgKey(org, "rule", group, "") }
func instancesOf(org string) string    { return orgKey(org, "instance", "") }
func apiKeysOf(org string) string      { return orgKey(org, "key", "") }

// roomInOrganization refuses one more of what is counted below prefix.
func (t *txn) roomInOrganization(org, prefix, things string, limit func(gabion.Quotas) int) error {
	o, err := t.organization(org)
	if err != nil {
		return err
	}
	have, err := t.count(prefix)
	if err != nil {
		return err
	}
	return bound{owner: "organization", things: things, have: have, limit: limit(o.Quotas)}.room(1)
}

func (t *txn) roomForGroup(org string) error {
	return t.roomInOrganization(org, groupsOf(org), "security groups", func(q gabion.Quotas) int { return q.Groups })
}

func (t *txn) roomForInstance(org string) error {
	return t.roomInOrganization(org, instancesOf(org), "instances", func(q gabion.Quotas) int { return q.Instances })
}

func (t *txn) roomForKey(org string) error {
	return t.roomInOrganization(org, apiKeysOf(org), "API keys", func(q gabion.Quotas) int { return q.Keys })
}

// roomForRules refuses so many more rules than the group has.
func (t *txn) roomForRules(g gabion.Group, have int64, more int) error {
	o, err := t.organization(g.Organization)
	if err != nil {
		return err
	}
	return bound{
		owner: fmt.Sprintf("security group %q", g.Name), things: "rules", have: have, limit: o.Quotas.RulesPerGroup,
	}.room(more)
}

// roomForGroups refuses an instance with more groups than the quota, unless it had
// as many before.
func (t *txn) roomForGroups(old, i gabion.Instance) error {
	if len(i.Groups) <= len(old.Groups) {
		return nil
	}
	o, err := t.organization(i.Organization)
	if err != nil {
		return err
	}
	return bound{
		owner: fmt.Sprintf("instance %q", i.Name), things: "security groups",
		have: int64(len(old.Groups)), limit: o.Quotas.GroupsPerInstance, remedy: "detach one",
	}.room(len(i.Groups) - len(old.Groups))
}

// Usage is how much the organization has of what its quotas bound.
func (s *Store) Usage(ctx context.Context, org string) (gabion.Usage, error) {
	if _, err := s.Organization(ctx, org); err != nil {
		return gabion.Usage{}, err
	}
	u := gabion.Usage{}
	for prefix, n := range map[string]*int{groupsOf(org): &u.Groups, instancesOf(org): &u.Instances, apiKeysOf(org): &u.Keys} {
		if err := s.count(ctx, prefix, n); err != nil {
			return gabion.Usage{}, err
		}
	}
	var err error
	if u.RulesPerGroup, err = s.most(ctx, orgKey(org, "rule", ""), func(rest string) string {
		group, _, _ := strings.Cut(rest, "/")
		return group
	}); err != nil {
		return gabion.Usage{}, err
	}
	u.GroupsPerInstance, err = s.most(ctx, orgKey(org, "use", ""), func(rest string) string {
		_, user, _ := strings.Cut(rest, "/")
		instance, is := strings.CutPrefix(user, "instance/")
		if !is {
			return ""
		}
		return instance
	})
	return u, err
}

func (s *Store) count(ctx context.Context, prefix string, n *int) error {
	reply, err := answer(ctx, s, func(ctx context.Context, options ...clientv3.OpOption) (*clientv3.GetResponse, error) {
		return s.client.Get(ctx, prefix, append(options, clientv3.WithPrefix(), clientv3.WithCountOnly())...)
	})
	if err != nil {
		return classed(err, "count "+prefix)
	}
	*n = int(reply.Count)
	return nil
}

// most is how many keys below prefix the owner has that has most of them. Keys of
// no owner are left out.
func (s *Store) most(ctx context.Context, prefix string, owner func(rest string) string) (int, error) {
	counts, most := map[string]int{}, 0
	_, err := s.scan(ctx, prefix, 0, func(kv *mvccpb.KeyValue) {
		if o := owner(placeOf(kv.Key).rest); o != "" {
			counts[o]++
			most = max(most, counts[o])
		}
	}, clientv3.WithKeysOnly())
	return most, err
}
