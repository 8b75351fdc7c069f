package main

import (
	"cmp"
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
)

func newRuleHitsCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "hits [GROUP]",
		Short:   "Show how often each rule was what let packets pass",
		Example: "  gabion rule hits\n  gabion rule hits web",
		Long: `Show how often each rule was what let packets pass, over all hosts, busiest first.

A rule without hits is shown, too: maybe nobody needs it.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return arguments("GROUP")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			all, err := c.Groups(cmd.Context())
			if err != nil {
				return err
			}
			if len(args) == 1 {
				g, err := groups.find(all, args[0])
				if err != nil {
					return err
				}
				all = []rest.SecurityGroup{g}
			}
			return a.hits(cmd.Context(), c, all)
		},
	}
}

func (a *app) hits(ctx context.Context, c *client.Client, of []rest.SecurityGroup) error {
	only := ""
	if len(of) == 1 {
		only = of[0].ID
	}
	hits, err := c.RuleHits(ctx, only)
	if err != nil {
		return err
	}
	byRule := map[string]rest.RuleHit{}
	for _, h := range hits {
		byRule[h.Rule] = h
	}
	t := &table{header: []string{"PACKETS", "BYTES", "LAST HOUR", "LAST", "GROUP", "RULE", "ID"}, empty: "No rules."}
	for _, row := range hitRows(of, byRule) {
		t.add(number(row.hit.Packets), number(row.hit.Bytes), number(row.hit.PacketsLastHour), a.since(row.hit.LastHitAt, "-"),
			row.group, describe(row.rule), short(row.rule.ID))
	}
	return a.print(orEmpty(hits), t)
}

// hitRow is a rule and what it let pass, maybe nothing.
type hitRow struct {
	group string
	rule  rest.SecurityGroupRule
	hit   rest.RuleHit
}

func hitRows(of []rest.SecurityGroup, hits map[string]rest.RuleHit) []hitRow {
	var rows []hitRow
	for _, g := range of {
		for _, r := range g.Rules {
			rows = append(rows, hitRow{g.Name, r, hits[r.ID]})
		}
	}
	slices.SortStableFunc(rows, func(a, b hitRow) int { return -cmp.Compare(a.hit.Packets, b.hit.Packets) })
	return rows
}
