package api_test

import (
	"errors"
	"strings"
	"testing"

	v3 "github.com/exoscale/egoscale/v3"
)

func TestEgoscaleErrors(t *testing.T) {
	r := start(t)
	c, ctx := r.sdk(t), t.Context()
	ok := succeeded(t, c)
	web := ok(c.CreateSecurityGroup(ctx, v3.CreateSecurityGroupRequest{Name: "web"}))
	other := ok(c.CreateSecurityGroup(ctx, v3.CreateSecurityGroupRequest{Name: "other"}))
	rule := v3.SecurityGroupRule{FlowDirection: "ingress", Protocol: "tcp", StartPort: 22, EndPort: 22, Network: "10.0.0.0/8"}
	ok(c.AddRuleToSecurityGroup(ctx, web, request(rule)))
	g, err := c.GetSecurityGroup(ctx, web)
	if err != nil {
		t.Fatal(explained(err))
	}
	const gone = v3.UUID(absent)
	with := func(change func(*v3.SecurityGroupRule)) v3.AddRuleToSecurityGroupRequest {
		changed := rule
		change(&changed)
		return request(changed)
	}

	tests := []struct {
		name     string
		call     func() (*v3.Operation, error)
		want     error
		location string
	}{
		{"no name", func() (*v3.Operation, error) { return c.CreateSecurityGroup(ctx, v3.CreateSecurityGroupRequest{}) }, v3.ErrBadRequest, "$['name']"},
		{"a name that is taken", func() (*v3.Operation, error) {
			return c.CreateSecurityGroup(ctx, v3.CreateSecurityGroupRequest{Name: "web", Description: "again"})
		}, v3.ErrConflict, ""},
		{"a long description", func() (*v3.Operation, error) {
			return c.CreateSecurityGroup(ctx, v3.CreateSecurityGroupRequest{Name: "x", Description: strings.Repeat("x", 256)})
		}, v3.ErrBadRequest, "$['description']"},
		{"a long body", func() (*v3.Operation, error) {
			return c.CreateSecurityGroup(ctx, v3.CreateSecurityGroupRequest{Name: "x", Description: strings.Repeat("x", 300<<10)})
		}, v3.ErrRequestEntityTooLarge, "$['body']"},
		{"host bits", func() (*v3.Operation, error) {
			return c.AddRuleToSecurityGroup(ctx, web, with(func(r *v3.SecurityGroupRule) { r.Network = "10.0.0.1/8" }))
		}, v3.ErrBadRequest, "$['network']"},
		{"one port", func() (*v3.Operation, error) {
			return c.AddRuleToSecurityGroup(ctx, web, with(func(r *v3.SecurityGroupRule) { r.EndPort = 0 }))
		}, v3.ErrBadRequest, "$['end-port']"},
		{"ports without ports", func() (*v3.Operation, error) {
			return c.AddRuleToSecurityGroup(ctx, web, with(func(r *v3.SecurityGroupRule) { r.Protocol = "esp" }))
		}, v3.ErrBadRequest, "$['start-port']"},
		{"a rule of no group", func() (*v3.Operation, error) { return c.AddRuleToSecurityGroup(ctx, gone, request(rule)) }, v3.ErrNotFound, ""},
		{"deleting the default group", func() (*v3.Operation, error) { return c.DeleteSecurityGroup(ctx, v3.UUID(r.defaultGroup(t))) }, v3.ErrConflict, ""},
		{"deleting no group", func() (*v3.Operation, error) { return c.DeleteSecurityGroup(ctx, gone) }, v3.ErrNotFound, ""},
		{"deleting no rule", func() (*v3.Operation, error) { return c.DeleteRuleFromSecurityGroup(ctx, web, gone) }, v3.ErrNotFound, ""},
		{"deleting a rule of another group", func() (*v3.Operation, error) { return c.DeleteRuleFromSecurityGroup(ctx, other, g.Rules[0].ID) }, v3.ErrNotFound, ""},
		{"deleting no instance", func() (*v3.Operation, error) { return c.DeleteInstance(ctx, gone) }, v3.ErrNotFound, ""},
		{"starting no instance", func() (*v3.Operation, error) { return c.StartInstance(ctx, gone, v3.StartInstanceRequest{}) }, v3.ErrNotFound, ""},
		{"attaching no instance", func() (*v3.Operation, error) {
			return c.AttachInstanceToSecurityGroup(ctx, web, v3.AttachInstanceToSecurityGroupRequest{Instance: &v3.Instance{ID: gone}})
		}, v3.ErrNotFound, ""},
		{"attaching nothing", func() (*v3.Operation, error) {
			return c.AttachInstanceToSecurityGroup(ctx, web, v3.AttachInstanceToSecurityGroupRequest{})
		}, v3.ErrBadRequest, "$['instance']['id']"},
		{"no operation", func() (*v3.Operation, error) { return c.GetOperation(ctx, gone) }, v3.ErrNotFound, ""},
		{"no id", func() (*v3.Operation, error) { return c.DeleteSecurityGroup(ctx, "web") }, v3.ErrNotFound, ""},
		{"removing a source that is none", func() (*v3.Operation, error) {
			return c.RemoveExternalSourceFromSecurityGroup(ctx, web, v3.RemoveExternalSourceFromSecurityGroupRequest{Cidr: "192.0.2.0/24"})
		}, v3.ErrNotFound, ""},
		{"a key without its text", func() (*v3.Operation, error) { return c.RegisterSSHKey(ctx, v3.RegisterSSHKeyRequest{Name: "me"}) }, v3.ErrBadRequest, "$['public-key']"},
		{"what is not offered", func() (*v3.Operation, error) { return c.DeleteElasticIP(ctx, gone) }, v3.ErrNotFound, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.call()
			var refused *v3.APIError
			if !errors.Is(err, tt.want) || !errors.As(err, &refused) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if refused.Message == "" || refused.Detail != refused.Message || refused.Title == "" || len(refused.Errors) != 1 {
				t.Errorf("the error lacks what the SDK shows: %+v", refused)
			} else if refused.Errors[0].Location != tt.location {
				t.Errorf("the error is at %q, want %q: %s", refused.Errors[0].Location, tt.location, refused.Message)
			}
		})
	}
}

func TestEgoscaleWrongSecret(t *testing.T) {
	r := start(t)
	r.env["EXOSCALE_API_SECRET"] = "guessed"
	if _, err := r.sdk(t).ListSecurityGroups(t.Context()); !errors.Is(err, v3.ErrForbidden) {
		t.Errorf("got %v", err)
	}
	// It doesn't sign this one.
	if zones, err := r.sdk(t).ListZones(t.Context()); err != nil || len(zones.Zones) != 1 {
		t.Errorf("zones: got %v, %v", zones, err)
	}
}
