package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/uuid"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/gabion/gabion"
)

type ruleRecord struct {
	Direction   string      `json:"direction"`
	Protocol    string      `json:"protocol"`
	Ports       *portRecord `json:"ports,omitempty"`
	ICMP        *icmpRecord `json:"icmp,omitempty"`
	Network     string      `json:"network,omitempty"`
	Peer        string      `json:"peer,omitempty"` // id of a group
	Description string      `json:"description,omitempty"`
	Place       int         `json:"place,omitempty"` // among the rules that one call added
}

type portRecord struct {
	Start uint16 `json:"start"`
	End   uint16 `json:"end"`
}

type icmpRecord struct {
	Type int `json:"type"`
	Code int `json:"code"`
}

func ruleOf(r gabion.Rule, place int) ruleRecord {
	record := ruleRecord{
		Direction: r.Direction.String(), Protocol: r.Protocol.String(),
		Peer: r.Peer.Group, Description: r.Description, Place: place,
	}
	if !r.Ports.IsAny() {
		record.Ports = &portRecord{r.Ports.Start, r.Ports.End}
	}
	if r.Protocol.IsICMP() {
		record.ICMP = &icmpRecord{r.ICMP.Type, r.ICMP.Code}
	}
	if !r.Peer.IsGroup() {
		record.Network = r.Peer.Network.String()
	}
	return record
}

func (record ruleRecord) rule() (gabion.Rule, error) {
	r := gabion.Rule{Description: record.Description, Peer: gabion.Peer{Group: record.Peer}}
	var direction, protocol, network error
	r.Direction, direction = gabion.ParseDirection(record.Direction)
	r.Protocol, protocol = gabion.ParseProtocol(record.Protocol)
	if record.Network != "" {
		r.Peer.Network, network = netip.ParsePrefix(record.Network)
	}
	if record.Ports != nil {
		r.Ports = gabion.PortRange{Start: record.Ports.Start, End: record.Ports.End}
	}
	if record.ICMP != nil {
		r.ICMP = gabion.ICMPMatch{Type: record.ICMP.Type, Code: record.ICMP.Code}
	}
	return r, errors.Join(direction, protocol, network)
}

// storedRule is a rule and where it stands in the order of creation.
type storedRule struct {
	gabion.Rule
	born  int64
	place int
}

func decodeStoredRule(kv *mvccpb.KeyValue) (storedRule, error) {
	var record ruleRecord
	if err := json.Unmarshal(kv.Value, &record); err != nil {
		return storedRule{}, damaged(kv, err)
	}
	r, err := record.rule()
	if err == nil {
		err = r.Validate()
	}
	if err != nil {
		return storedRule{}, damaged(kv, err)
	}
	r.Group, r.ID, _ = strings.Cut(placeOf(kv.Key).rest, "/")
	return storedRule{Rule: r, born: kv.CreateRevision, place: record.Place}, nil
}

func decodeRule(kv *mvccpb.KeyValue) (gabion.Rule, error) {
	r, err := decodeStoredRule(kv)
	return r.Rule, err
}

// namedGroup is the other group that the rule names: a group that names itself
// does not keep itself from being deleted.
func namedGroup(r *gabion.Rule) string {
	if r.Peer.Group == r.Group {
		return ""
	}
	return r.Peer.Group
}

// Rules are the rules of all groups of the organization, in order of creation.
func (s *Store) Rules(ctx context.Context, org string) ([]gabion.Rule, error) {
	return s.rules(ctx, orgKey(org, "rule", ""))
}

// GroupRules are the rules of one group, in order of creation.
func (s *Store) GroupRules(ctx context.Context, org, group string) ([]gabion.Rule, error) {
	if _, err := s.Group(ctx, org, group); err != nil {
		return nil, err
	}
	return s.rules(ctx, orgKey(org, "rule", group, ""))
}

func (s *Store) rules(ctx context.Context, prefix string) ([]gabion.Rule, error) {
	stored, err := all(ctx, s, prefix, decodeStoredRule)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(stored, func(a, b storedRule) int {
		return cmp.Or(cmp.Compare(a.born, b.born), cmp.Compare(a.place, b.place))
	})
	rules := make([]gabion.Rule, len(stored))
	for i := range stored {
		rules[i] = stored[i].Rule
	}
	return rules, nil
}

// AddRules adds all of the rules to the group, or none. A rule gets an id if it has none.
func (s *Store) AddRules(ctx context.Context, org, group string, rules []gabion.Rule) (gabion.Operation, error) {
	rules, err := newRules(group, rules)
	if err != nil {
		return gabion.Operation{}, err
	}
	name := "add-rule-to-security-group"
	if len(rules) > 1 {
		name = "add-rules-to-security-group"
	}
	c := ofGroup(org, name, group, keysOfRules(org, rules)...)
	c.counts = []string{rulesOf(org, group)}
	return s.change(ctx, c, func(t *txn) error {
		g, err := t.group(org, group)
		if err != nil {
			return err
		}
		have, err := t.count(rulesOf(org, group))
		if err != nil {
			return err
		}
		if err := t.roomForRules(g, have, len(rules)); err != nil {
			return err
		}
		t.after = rulesSaid(rules)
		return t.addRules(org, rules)
	})
}

// newRules are the rules as the group is to have them, if they are valid.
func newRules(group string, rules []gabion.Rule) ([]gabion.Rule, error) {
	rules = slices.Clone(rules)
	for i := range rules {
		r := &rules[i]
		r.Group = group
		if r.ID == "" {
			r.ID = uuid.NewString()
		}
		if !isID(r.ID) {
			return nil, gabion.Invalid("id", "%q is not an id", r.ID)
		}
		if err := r.Validate(); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

// keysOfRules are the keys that addRules asks for, so that they are read in one go.
func keysOfRules(org string, rules []gabion.Rule) []string {
	keys := make([]string, 0, 3*len(rules))
	for i := range rules {
		r := &rules[i]
		keys = append(keys, ruleKey(org, r.Group, r.ID), equalRuleKey(org, r.Group, r.Key()))
		if isID(r.Peer.Group) {
			keys = append(keys, groupKey(org, r.Peer.Group))
		}
	}
	return keys
}

func (t *txn) addRules(org string, rules []gabion.Rule) error {
	for i := range rules {
		if err := t.addRule(org, &rules[i], i); err != nil {
			return err
		}
	}
	return nil
}

func (t *txn) addRule(org string, r *gabion.Rule, place int) error {
	if err := t.requireNew("rule", r.ID, ruleKey(org, r.Group, r.ID)); err != nil {
		return err
	}
	err := t.claim(equalRuleKey(org, r.Group, r.Key()), holder{ID: r.ID}, func(other holder) error {
		return gabion.Conflict("the security group has an equal rule (%s) already: its id is %s", r.Key(), other.ID)
	})
	if err != nil {
		return err
	}
	return t.putRule(org, r, place)
}

// putRule writes a new rule, and that it uses the group that it names.
func (t *txn) putRule(org string, r *gabion.Rule, place int) error {
	if r.Peer.IsGroup() {
		if _, err := t.group(org, r.Peer.Group); err != nil {
			return err
		}
	}
	if names := namedGroup(r); names != "" {
		if err := t.put(ruleUsePrefix(org, names, r.Group)+r.ID, holder{}); err != nil {
			return err
		}
	}
	return t.put(ruleKey(org, r.Group, r.ID), ruleOf(*r, place))
}

// DeleteRule deletes one rule of the group.
func (s *Store) DeleteRule(ctx context.Context, org, group, id string) (gabion.Operation, error) {
	c := ofGroup(org, "delete-rule-from-security-group", group)
	if isID(id) {
		c.reads = append(c.reads, ruleKey(org, group, id))
	}
	return s.change(ctx, c, func(t *txn) error {
		if _, err := t.group(org, group); err != nil {
			return err
		}
		r, err := object(t, "rule", id, ruleKey(org, group, id), decodeRule)
		if errors.Is(err, errDamaged) {
			t.before = rulesSaid(nil, id)
			return t.deleteDamaged(org, group, []string{id}, nil)
		}
		if err != nil {
			return err
		}
		t.before = rulesSaid([]gabion.Rule{r})
		t.deleteRule(org, &r)
		return nil
	})
}

func (t *txn) deleteRule(org string, r *gabion.Rule) {
	if names := namedGroup(r); names != "" {
		t.delete(ruleUsePrefix(org, names, r.Group) + r.ID)
	}
	t.delete(equalRuleKey(org, r.Group, r.Key()))
	t.delete(ruleKey(org, r.Group, r.ID))
}
