package store

import (
	"context"
	"slices"
	"strings"

	"github.com/gabion/gabion"
)

// ReplaceRules makes the group's rules those given, in one transaction. A rule that
// the group has already keeps its id and its place, and gets the description given;
// the others get ids. What the group has and nobody can read goes.
func (s *Store) ReplaceRules(ctx context.Context, org, group string, rules []gabion.Rule) (gabion.Operation, error) {
	rules = slices.Clone(rules)
	for i := range rules {
		rules[i].ID = ""
	}
	rules, err := newRules(group, rules)
	if err != nil {
		return gabion.Operation{}, err
	}
	if err := refuseEqual(rules); err != nil {
		return gabion.Operation{}, err
	}
	return s.change(ctx, ofGroup(org, "replace-rules-of-security-group", group), func(t *txn) error {
		g, err := t.group(org, group)
		if err != nil {
			return err
		}
		if err := t.roomForRules(g, 0, len(rules)); err != nil {
			return err
		}
		// That these are all stays so: whatever changes them writes the head of the
		// organization's audit log, which this has read.
		old, unreadable, err := t.rulesOf(org, group)
		if err != nil {
			return err
		}
		return t.replaceRules(org, group, old, unreadable, rules)
	})
}

// refuseEqual refuses rules of which two are equal.
func refuseEqual(rules []gabion.Rule) error {
	seen := map[string]bool{}
	for i := range rules {
		key := rules[i].Key()
		if seen[key] {
			return gabion.Conflict("two of the rules are equal (%s): give each once", key)
		}
		seen[key] = true
	}
	return nil
}

// rulesOf are the group's rules by their canonical keys, and the ids of those that
// can't be read.
func (t *txn) rulesOf(org, group string) (rules map[string]storedRule, unreadable []string, err error) {
	prefix := rulesOf(org, group)
	kvs, err := t.list(prefix)
	if err != nil {
		return nil, nil, err
	}
	rules = make(map[string]storedRule, len(kvs))
	for _, kv := range kvs {
		r, err := decodeStoredRule(kv)
		if err != nil {
			unreadable = append(unreadable, strings.TrimPrefix(string(kv.Key), prefix))
			continue
		}
		rules[r.Key()] = r
	}
	return rules, unreadable, nil
}

func (t *txn) replaceRules(org, group string, old map[string]storedRule, unreadable []string, rules []gabion.Rule) error {
	var added, removed, before, after []gabion.Rule
	for _, r := range rules {
		has, had := old[r.Key()]
		delete(old, r.Key())
		switch {
		case !had:
			added = append(added, r)
		case has.Description != r.Description:
			before = append(before, has.Rule)
			has.Description = r.Description
			after = append(after, has.Rule)
			if err := t.put(ruleKey(org, r.Group, has.ID), ruleOf(has.Rule, has.place)); err != nil {
				return err
			}
		}
	}
	for _, r := range old {
		removed = append(removed, r.Rule)
		t.deleteRule(org, &r.Rule)
	}
	if err := t.deleteDamaged(org, group, unreadable, added); err != nil {
		return err
	}
	t.before, t.after = rulesSaid(append(before, removed...), unreadable...), rulesSaid(append(after, added...))
	return t.putNewRules(org, added)
}

// putNewRules writes rules of which it is known that the group has none like them.
func (t *txn) putNewRules(org string, rules []gabion.Rule) error {
	var peers []string
	for i := range rules {
		if peer := rules[i].Peer.Group; isID(peer) {
			peers = append(peers, groupKey(org, peer))
		}
	}
	if err := t.read(peers...); err != nil {
		return err
	}
	for i := range rules {
		r := &rules[i]
		if err := t.put(equalRuleKey(org, r.Group, r.Key()), holder{ID: r.ID}); err != nil {
			return err
		}
		if err := t.putRule(org, r, i); err != nil {
			return err
		}
	}
	return nil
}
