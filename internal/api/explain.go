package api

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
	"github.com/gabion/gabion/internal/flow"
	"github.com/gabion/gabion/internal/policy"
)

// Explainer knows what policy means for a new connection. It knows at least what
// Enforcement has awaited.
type Explainer interface {
	Explain(from, to policy.End, s policy.Service) policy.Explanation
	// AskLoaded asks the programs that are loaded on a host, and whether they agree
	// with decide.
	AskLoaded(ctx context.Context, host string, q flow.Question, decide func() gabion.Reason) flow.Loaded
}

// ExplainConnection answers whether a new connection would be admitted, and why.
func (a *api) ExplainConnection(w http.ResponseWriter, r *http.Request) {
	a.show(w, r, func(ctx context.Context, org string) (any, error) {
		var body openapi.ExplainRequest
		if err := decodeOurs(r, &body); err != nil {
			return nil, err
		}
		service, err := newService(body)
		if err != nil {
			return nil, err
		}
		sender, err := a.findEnd(ctx, org, "from", body.From)
		if err != nil {
			return nil, err
		}
		receiver, err := a.findEnd(ctx, org, "to", body.To)
		if err != nil {
			return nil, err
		}
		from, to, err := connect(sender, receiver, body, service.Protocol)
		if err != nil {
			return nil, err
		}
		return a.explanation(ctx, org, from, to, service)
	})
}

func newService(body openapi.ExplainRequest) (policy.Service, error) {
	s := policy.Service{}
	var err error
	if s.Protocol, err = gabion.ParseProtocol(string(body.Protocol)); err != nil {
		return s, err
	}
	switch {
	case s.Protocol.HasPorts() && body.Port == nil:
		return s, gabion.Invalid("port", "is missing; give the destination port")
	case !s.Protocol.HasPorts() && body.Port != nil:
		return s, gabion.Invalid("port", "%s has no ports; leave it out", s.Protocol)
	case !s.Protocol.IsICMP() && body.ICMP != nil:
		return s, gabion.Invalid("icmp", "%s has no ICMP type and code; leave it out", s.Protocol)
	case body.Port != nil && (*body.Port < 0 || *body.Port > 65535):
		return s, gabion.Invalid("port", "%d is out of range; give 0 to 65535", *body.Port)
	case body.Port != nil:
		s.Port = uint16(*body.Port)
	case s.Protocol.IsICMP():
		s.Type, s.Code, err = newEcho(s.Protocol, body.ICMP)
	}
	return s, err
}

// newEcho is the ICMP type and code asked for; without any, an echo request.
func newEcho(p gabion.Protocol, body *openapi.ExactICMP) (typ, code uint8, err error) {
	switch {
	case body == nil && p == gabion.ICMP:
		return 8, 0, nil
	case body == nil:
		return 128, 0, nil
	case body.Type < 0 || body.Type > 255:
		return 0, 0, gabion.Invalid("icmp.type", "%d is out of range; give 0 to 255", body.Type)
	case body.Code < 0 || body.Code > 255:
		return 0, 0, gabion.Invalid("icmp.code", "%d is out of range; give 0 to 255", body.Code)
	}
	return uint8(body.Type), uint8(body.Code), nil
}

// candidates are the addresses that one end of a connection may have.
type candidates struct {
	instance  *gabion.Instance // nil if the address is nobody's here
	addresses []netip.Addr
}

// connect finds two addresses of one IP version that the protocol runs over.
func connect(sender, receiver candidates, body openapi.ExplainRequest, p gabion.Protocol) (from, to policy.End, err error) {
	for _, a := range sender.addresses {
		for _, b := range receiver.addresses {
			if a.Is4() == b.Is4() && runsOver(p, a) {
				return policy.End{Instance: sender.instance, Address: a}, policy.End{Instance: receiver.instance, Address: b}, nil
			}
		}
	}
	return from, to, gabion.Invalid("to", "%s and %s have no two addresses of one IP version that %s runs over; name others, or another protocol",
		body.From, body.To, p)
}

func runsOver(p gabion.Protocol, a netip.Addr) bool {
	switch p {
	case gabion.ICMP:
		return a.Is4()
	case gabion.ICMPv6:
		return a.Is6()
	default:
		return true
	}
}

// findEnd finds an instance by address, id or name, or takes the address for a stranger's.
func (a *api) findEnd(ctx context.Context, org, field, text string) (candidates, error) {
	address, err := netip.ParseAddr(text)
	if err != nil {
		return a.findInstance(ctx, org, field, text)
	}
	if address.Zone() != "" || address.Is4In6() {
		return candidates{}, gabion.Invalid(field, "write %s as %s", address, address.WithZone("").Unmap())
	}
	owners, err := lookUp(ctx, a, org, func(w *policy.World) []*gabion.Instance { return w.Owners(org, address) })
	end := candidates{addresses: []netip.Addr{address}}
	if len(owners) > 0 {
		end.instance = owners[0]
	}
	return end, err
}

func (a *api) findInstance(ctx context.Context, org, field, text string) (candidates, error) {
	found, err := lookUp(ctx, a, org, func(w *policy.World) []*gabion.Instance { return called(w, org, text) })
	switch {
	case err != nil:
		return candidates{}, err
	case len(found) == 0:
		return candidates{}, gabion.NotFound("instance or address", text)
	case len(found) > 1:
		return candidates{}, gabion.Conflict("%s: several instances are called %q; name one by its id or its address", field, text)
	}
	end := candidates{instance: found[0]}
	for _, nic := range end.instance.NICs {
		end.addresses = append(end.addresses, nic.Addresses...)
	}
	if len(end.addresses) == 0 {
		return end, gabion.Invalid(field, "instance %q has no addresses; give it an interface with one", text)
	}
	return end, nil
}

// called are the organization's instances of that id or name.
func called(w *policy.World, org, text string) []*gabion.Instance {
	found := w.Instances(org).Named(text)
	if i := w.Instance(text); i != nil && i.Organization == org && i.Name != text {
		found = append(found, i)
	}
	return found
}
