package api

import (
	"context"
	"net/netip"
	"sync"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
	"github.com/gabion/gabion/internal/flow"
	"github.com/gabion/gabion/internal/policy"
)

// askLoaded asks the programs at both ends at the same time. An end that is no
// instance has none.
func (a *api) askLoaded(ctx context.Context, from, to policy.End, s policy.Service) map[gabion.Direction]*openapi.LoadedVerdict {
	loaded := map[gabion.Direction]*openapi.LoadedVerdict{}
	var (
		mu   sync.Mutex
		asks sync.WaitGroup
	)
	for d, ends := range map[gabion.Direction][2]policy.End{gabion.Egress: {from, to}, gabion.Ingress: {to, from}} {
		if ends[0].Instance == nil {
			continue
		}
		asks.Go(func() {
			verdict := a.askEnd(ctx, d, ends[0], ends[1], s, func() gabion.Reason {
				e := a.Explainer.Explain(from, to, s)
				if d == gabion.Egress {
					return e.Egress.Reason
				}
				return e.Ingress.Reason
			})
			mu.Lock()
			defer mu.Unlock()
			loaded[d] = verdict
		})
	}
	asks.Wait()
	return loaded
}

func (a *api) askEnd(ctx context.Context, d gabion.Direction, end, other policy.End, s policy.Service, decide func() gabion.Reason) *openapi.LoadedVerdict {
	switch {
	case end.Instance.Host == "":
		return &openapi.LoadedVerdict{Unavailable: "the instance is on no host"}
	case !isForRules(other.Address, s):
		return &openapi.LoadedVerdict{Unavailable: "such packets are judged before any rule is asked"}
	}
	l := a.Explainer.AskLoaded(ctx, end.Instance.Host, flow.Question{
		Instance: end.Instance.ID, Direction: d, Local: end.Address, Remote: other.Address,
		Protocol: s.Protocol, Port: s.Port, Type: s.Type, Code: s.Code,
	}, decide)
	if l.Unavailable != "" {
		return &openapi.LoadedVerdict{Unavailable: l.Unavailable}
	}
	return &openapi.LoadedVerdict{
		Agrees: l.Agrees, Verdict: openapi.Verdict(l.Reason.Verdict().String()), Reason: l.Reason.String(), Rule: l.Rule,
	}
}

// isForRules tells whether it is the rules that decide such a packet: not those of
// docs/verdicts.md about multicast, routers and neighbours.
func isForRules(remote netip.Addr, s policy.Service) bool {
	broadcast := netip.AddrFrom4([4]byte{255, 255, 255, 255})
	switch {
	case remote.IsMulticast(), remote.IsUnspecified(), remote == broadcast:
		return false
	case s.Protocol == gabion.ICMP:
		return s.Type != 5
	case s.Protocol == gabion.ICMPv6:
		return (s.Type < 130 || s.Type > 137) && s.Type != 143
	}
	return true
}
