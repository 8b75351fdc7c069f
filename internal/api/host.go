package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
	"github.com/gabion/gabion/internal/policy"
)

const (
	// tokenLife is how long a join token may be used.
	tokenLife = 15 * time.Minute

	// silence is how long a host that is well may be silent.
	silence = 30 * time.Second
)

// ListHosts answers all hosts, by name.
func (a *api) ListHosts(w http.ResponseWriter, r *http.Request) {
	a.show(w, r, func(ctx context.Context, _ string) (any, error) {
		hosts, err := a.hosts(ctx)
		return openapi.HostList{Hosts: hosts}, err
	})
}

// GetHost answers one host.
func (a *api) GetHost(w http.ResponseWriter, r *http.Request, name string) {
	a.show(w, r, func(ctx context.Context, _ string) (any, error) {
		hosts, err := a.hosts(ctx)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(hosts, func(h openapi.Host) bool { return h.Name == name })
		if i < 0 {
			return nil, gabion.NotFound("host", name)
		}
		return hosts[i], nil
	})
}

// DeleteHost forgets a host that has no instances.
func (a *api) DeleteHost(w http.ResponseWriter, r *http.Request, name string) {
	a.show(w, r, func(ctx context.Context, _ string) (any, error) {
		if err := gabion.ValidateHostName("name", name); err != nil {
			return nil, gabion.NotFound("host", name)
		}
		if err := a.Store.DeleteHost(context.WithoutCancel(ctx), name); err != nil {
			return nil, err
		}
		return done("delete-host", Base+"/host/"+name), nil
	})
}

// CreateHostToken makes a token with which a host joins.
func (a *api) CreateHostToken(w http.ResponseWriter, r *http.Request) {
	a.show(w, r, func(ctx context.Context, _ string) (any, error) {
		var body openapi.CreateHostTokenRequest
		if err := decodeOurs(r, &body); err != nil {
			return nil, err
		}
		if err := gabion.ValidateHostName("host", body.Host); err != nil {
			return nil, err
		}
		text, hash, err := a.MintToken(body.Host)
		if err != nil {
			return nil, err
		}
		expires := time.Now().Add(tokenLife).UTC().Truncate(time.Second)
		token := gabion.JoinToken{Host: body.Host, Hash: hash, Expires: expires}
		if err := a.Store.CreateJoinToken(context.WithoutCancel(ctx), token); err != nil {
			return nil, err
		}
		return openapi.HostToken{Host: body.Host, Token: text, ExpiresAt: expires}, nil
	})
}

func (a *api) hosts(ctx context.Context) ([]openapi.Host, error) {
	hosts, statuses, err := a.Store.Hosts(ctx)
	if err != nil {
		return nil, err
	}
	last := map[string]gabion.HostStatus{}
	for _, s := range statuses {
		last[s.Host] = s
	}
	bodies := make([]openapi.Host, len(hosts))
	for i, h := range hosts {
		bodies[i] = hostBody(h, last[h.Name], time.Now())
		bodies[i].Behind = !a.Receipts.Current(h.Name)
	}
	slices.SortFunc(bodies, func(a, b openapi.Host) int { return cmp.Compare(a.Name, b.Name) })
	// They are of all organizations: it is as new as what this server has seen.
	err = a.inspect(ctx, 0, func(w *policy.World) {
		for i := range bodies {
			bodies[i].Instances = w.CountInstances(bodies[i].Name)
		}
	})
	return bodies, err
}

// hostBody is a host and its last status, zero if it never spoke.
func hostBody(h gabion.Host, s gabion.HostStatus, now time.Time) openapi.Host {
	body := openapi.Host{
		Name: h.Name, CreatedAt: h.Created, Revision: s.Revision, Version: s.Version, Error: s.Error,
		Protection: s.Protection, UnprotectedPorts: s.UnprotectedPorts, Repairs: int(s.Drifts),
		EnforcedAt: timeBody(s.EnforcedAt), Milliseconds: millisecondsBody(s.Took),
		PolicyDigest: s.PolicyDigest, ProgramDigest: s.ProgramDigest,
	}
	switch {
	case s.LastSeen.IsZero():
		body.State = openapi.Waiting
		return body
	case now.Sub(s.LastSeen) > silence:
		body.State = openapi.Offline
	case s.Error != "":
		body.State = openapi.Failing
	default:
		body.State = openapi.Online
	}
	body.LastSeen = &s.LastSeen
	return body
}
