package api

import (
	"cmp"
	"context"
	"maps"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
	"github.com/gabion/gabion/internal/flow"
	"github.com/gabion/gabion/internal/policy"
)

// maxOpenFlows is how many flows one answer lists.
const maxOpenFlows = 1000

// Flows knows what happens to packets.
type Flows interface {
	// Hits is what passed because of those of the rules that were counted, over all hosts, by rule id.
	Hits(ctx context.Context, rules []string) (map[string]flow.Hits, error)
	// Drops is what was dropped at the instance's interfaces.
	Drops(ctx context.Context, instance string) ([]flow.Drop, error)
	// OpenFlows are up to limit flows that the instance has open on its host now.
	OpenFlows(ctx context.Context, host, instance string, limit int) (flows []flow.Open, more bool, err error)
	// Watch makes a watcher of events, which must be given back to Unwatch.
	Watch(f flow.Filter) *flow.Watcher
	Unwatch(w *flow.Watcher)
	// Elsewhere are the hosts whose events the filter wants and that tell them to another server.
	Elsewhere(f flow.Filter) []string
}

// ListRuleHits answers how often each rule let packets pass.
func (a *api) ListRuleHits(w http.ResponseWriter, r *http.Request, params openapi.ListRuleHitsParams) {
	a.show(w, r, func(ctx context.Context, org string) (any, error) {
		rules, err := lookUp(ctx, a, org, func(w *policy.World) map[string]*gabion.Rule { return rulesOf(w, org, params.SecurityGroup) })
		if err != nil {
			return nil, err
		}
		hits, err := a.Flows.Hits(ctx, slices.Collect(maps.Keys(rules)))
		bodies := []openapi.RuleHit{}
		for id, h := range hits {
			if h.Packets > 0 {
				bodies = append(bodies, hitBody(*rules[id], h))
			}
		}
		slices.SortFunc(bodies, func(a, b openapi.RuleHit) int {
			return cmp.Or(strings.Compare(a.SecurityGroup, b.SecurityGroup), strings.Compare(a.Rule, b.Rule))
		})
		return openapi.RuleHitList{RuleHits: bodies}, err
	})
}

// rulesOf are the organization's rules, or those of one of its groups, by id.
func rulesOf(w *policy.World, org, group string) map[string]*gabion.Rule {
	groups, _ := w.Groups(org).Find("", 0, math.MaxInt, func(g *gabion.Group) bool { return group == "" || group == g.ID })
	rules := map[string]*gabion.Rule{}
	for _, g := range groups {
		for r := range w.Rules(g.ID) {
			rules[r.ID] = r
		}
	}
	return rules
}

func hitBody(r gabion.Rule, h flow.Hits) openapi.RuleHit {
	return openapi.RuleHit{
		Rule: r.ID, SecurityGroup: r.Group, LastHitAt: timeBody(h.Last),
		Packets: int64(h.Packets), Bytes: int64(h.Bytes), PacketsLastHour: int64(h.LastHour),
	}
}

// ListInstanceDrops answers how many packets of an instance were dropped, and why.
func (a *api) ListInstanceDrops(w http.ResponseWriter, r *http.Request, id openapi.PathID) {
	a.show(w, r, func(ctx context.Context, org string) (any, error) {
		if _, err := a.Store.Instance(ctx, org, id); err != nil {
			return nil, err
		}
		drops, err := a.Flows.Drops(ctx, id)
		if err != nil {
			return nil, err
		}
		list := openapi.DropList{Drops: make([]openapi.DroppedPackets, len(drops))}
		for i, d := range drops {
			list.Drops[i] = openapi.DroppedPackets{
				Interface: d.Interface, Reason: d.Reason.String(), Packets: int64(d.Packets), LastAt: timeBody(d.Last),
			}
		}
		return list, nil
	})
}

// ListInstanceFlows answers which flows an instance has open now.
func (a *api) ListInstanceFlows(w http.ResponseWriter, r *http.Request, id openapi.PathID) {
	a.show(w, r, func(ctx context.Context, org string) (any, error) {
		i, err := a.Store.Instance(ctx, org, id)
		if err != nil {
			return nil, err
		}
		list := openapi.OpenFlowList{Flows: []openapi.OpenFlow{}}
		if i.Host == "" {
			return list, nil
		}
		open, more, err := a.Flows.OpenFlows(ctx, i.Host, id, maxOpenFlows)
		if err != nil {
			return nil, err
		}
		list.More = more
		for _, f := range open {
			list.Flows = append(list.Flows, openFlowBody(f))
		}
		return list, nil
	})
}

func openFlowBody(f flow.Open) openapi.OpenFlow {
	body := openapi.OpenFlow{
		Interface: f.Interface, Direction: openapi.FlowDirection(f.Direction.String()), Protocol: f.Protocol.String(),
		Local: addressText(f.Local), LocalPort: int(f.Local.Port()), Remote: addressText(f.Remote), RemotePort: int(f.Remote.Port()),
		State: f.State, IdleSeconds: int(f.Idle.Seconds()),
	}
	if f.Rule != "" {
		body.Rule = &f.Rule
	}
	return body
}

func addressText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.Addr().String()
}

func eventBody(e flow.Event) openapi.FlowEvent {
	body := openapi.FlowEvent{
		Time: e.Time.UTC(), Host: e.Host, Instance: openapi.Reference{ID: e.Instance.ID, Name: e.Instance.Name},
		Interface: e.Interface, Verdict: openapi.Verdict(e.Reason.Verdict().String()), Reason: e.Reason.String(),
		Direction: openapi.FlowDirection(e.Direction.String()),
		Local:     addressText(e.Local), LocalPort: int(e.Local.Port()),
		Remote: addressText(e.Remote), RemotePort: int(e.Remote.Port()),
		RemoteInstance: namedBody(e.RemoteOwner), SecurityGroup: namedBody(e.Group),
	}
	if e.Remote.IsValid() {
		body.Protocol = e.Protocol.String()
		if e.Protocol.IsICMP() {
			body.ICMP = &openapi.ExactICMP{Type: e.ICMP.Type, Code: e.ICMP.Code}
		}
	}
	if e.Rule != "" {
		body.Rule = &e.Rule
	}
	return body
}

func namedBody(n flow.Named) *openapi.Reference {
	if n.ID == "" {
		return nil
	}
	return &openapi.Reference{ID: n.ID, Name: n.Name}
}
