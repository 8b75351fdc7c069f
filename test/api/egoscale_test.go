package api_test

import (
	"errors"
	"strings"
	"testing"

	v3 "github.com/exoscale/egoscale/v3"
	"github.com/exoscale/egoscale/v3/credentials"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// sdk is the public API's own SDK, unmodified, with the operator's credentials.
func (r *running) sdk(t *testing.T) *v3.Client {
	t.Helper()
	c, err := v3.NewClient(
		credentials.NewStaticCredentials(r.env["EXOSCALE_API_KEY"], r.env["EXOSCALE_API_SECRET"]),
		v3.ClientOptWithEndpoint(v3.Endpoint(r.endpoint)),
		v3.ClientOptWithHTTPClient(r.http),
	)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// succeeded waits for an operation as the SDK's users do, and returns its reference.
func succeeded(t *testing.T, c *v3.Client) func(*v3.Operation, error) v3.UUID {
	return func(op *v3.Operation, err error) v3.UUID {
		t.Helper()
		if err == nil {
			op, err = c.Wait(t.Context(), op, v3.OperationStateSuccess)
		}
		if err != nil {
			t.Fatal(explained(err))
		}
		return op.Reference.ID
	}
}

// explained is the error with what the server said, which the SDK's text leaves out.
func explained(err error) error {
	var refused *v3.APIError
	if errors.As(err, &refused) {
		return errors.New(err.Error() + ": " + refused.Message)
	}
	return err
}

func TestEgoscaleGroupsAndRules(t *testing.T) {
	r := start(t)
	c, ctx := r.sdk(t), t.Context()
	ok := succeeded(t, c)

	web := ok(c.CreateSecurityGroup(ctx, v3.CreateSecurityGroupRequest{Name: "web", Description: "what faces the internet"}))
	app := ok(c.CreateSecurityGroup(ctx, v3.CreateSecurityGroupRequest{Name: "app"}))
	if _, err := c.CreateSecurityGroup(ctx, v3.CreateSecurityGroupRequest{Name: "web", Description: "again"}); !errors.Is(err, v3.ErrConflict) {
		t.Errorf("a name that is taken: got %v", err)
	}

	rules := []v3.SecurityGroupRule{
		{FlowDirection: "ingress", Protocol: "tcp", StartPort: 443, EndPort: 443, Network: "0.0.0.0/0", Description: "HTTPS"},
		{FlowDirection: "ingress", Protocol: "udp", StartPort: 1, EndPort: 65535, Network: "2001:db8::/32"},
		{FlowDirection: "ingress", Protocol: "tcp", SecurityGroup: &v3.SecurityGroupResource{ID: app, Name: "app"}},
		{FlowDirection: "ingress", Protocol: "icmp", ICMP: &v3.SecurityGroupRuleICMP{Type: 8, Code: 0}, Network: "10.0.0.0/8"},
		{FlowDirection: "ingress", Protocol: "icmp", ICMP: &v3.SecurityGroupRuleICMP{Type: -1, Code: -1}, Network: "192.0.2.1/32"},
		{FlowDirection: "egress", Protocol: "esp", Network: "::/0"},
	}
	for _, rule := range rules {
		if got := ok(c.AddRuleToSecurityGroup(ctx, web, request(rule))); got != web {
			t.Errorf("an operation on a rule refers to %s, want the group %s", got, web)
		}
	}
	twin := rules[0]
	twin.Description = "HTTPS, once more"
	if _, err := c.AddRuleToSecurityGroup(ctx, web, request(twin)); !errors.Is(err, v3.ErrConflict) {
		t.Errorf("a rule that is there already: got %v", err)
	}
	ok(c.AddExternalSourceToSecurityGroup(ctx, web, v3.AddExternalSourceToSecurityGroupRequest{Cidr: "198.51.100.7/32"}))

	got, err := c.GetSecurityGroup(ctx, web)
	if err != nil {
		t.Fatal(explained(err))
	}
	want := &v3.SecurityGroup{
		ID: web, Name: "web", Description: "what faces the internet",
		ExternalSources: []string{"198.51.100.7/32"}, Rules: rules,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(v3.SecurityGroupRule{}, "ID")); diff != "" {
		t.Errorf("the group is not what was asked for (-want +got):\n%s", diff)
	}

	if _, err := c.DeleteSecurityGroup(ctx, app); !errors.Is(err, v3.ErrConflict) || !strings.Contains(explained(err).Error(), "web") {
		t.Errorf("deleting a group that a rule names: got %v", err)
	}
	for _, rule := range got.Rules {
		ok(c.DeleteRuleFromSecurityGroup(ctx, web, rule.ID))
	}
	source := v3.RemoveExternalSourceFromSecurityGroupRequest{Cidr: "198.51.100.7/32"}
	ok(c.RemoveExternalSourceFromSecurityGroup(ctx, web, source))
	ok(c.DeleteSecurityGroup(ctx, web))
	if _, err := c.GetSecurityGroup(ctx, web); !errors.Is(err, v3.ErrNotFound) {
		t.Errorf("a group that is gone: got %v", err)
	}
}

// request is what asks for the rule.
func request(r v3.SecurityGroupRule) v3.AddRuleToSecurityGroupRequest {
	q := v3.AddRuleToSecurityGroupRequest{
		FlowDirection: v3.AddRuleToSecurityGroupRequestFlowDirection(r.FlowDirection),
		Protocol:      v3.AddRuleToSecurityGroupRequestProtocol(r.Protocol),
		StartPort:     r.StartPort, EndPort: r.EndPort,
		Network: r.Network, SecurityGroup: r.SecurityGroup, Description: r.Description,
	}
	if r.ICMP != nil {
		q.ICMP = &v3.AddRuleToSecurityGroupRequestICMP{Type: &r.ICMP.Type, Code: &r.ICMP.Code}
	}
	return q
}

func TestEgoscaleLists(t *testing.T) {
	r := start(t)
	c, ctx := r.sdk(t), t.Context()
	ok := succeeded(t, c)
	web := ok(c.CreateSecurityGroup(ctx, v3.CreateSecurityGroupRequest{Name: "web"}))
	ok(c.CreateSecurityGroup(ctx, v3.CreateSecurityGroupRequest{Name: "app"}))

	tests := []struct {
		name string
		opts []v3.ListSecurityGroupsOpt
		want []string
	}{
		{"all", nil, []string{"default", "web", "app"}},
		{"private", []v3.ListSecurityGroupsOpt{v3.ListSecurityGroupsWithVisibility(v3.ListSecurityGroupsVisibilityPrivate)}, []string{"default", "web", "app"}},
		{"public", []v3.ListSecurityGroupsOpt{v3.ListSecurityGroupsWithVisibility(v3.ListSecurityGroupsVisibilityPublic)}, nil},
	}
	for _, tt := range tests {
		list, err := c.ListSecurityGroups(ctx, tt.opts...)
		if err != nil {
			t.Fatal(explained(err))
		}
		var names []string
		for _, g := range list.SecurityGroups {
			names = append(names, g.Name)
		}
		if diff := cmp.Diff(tt.want, names); diff != "" {
			t.Errorf("groups, %s (-want +got):\n%s", tt.name, diff)
		}
		if found, err := list.FindSecurityGroup("web"); len(tt.want) > 0 && (err != nil || found.ID != web) {
			t.Errorf("groups, %s: web by name: got %v, %v", tt.name, found, err)
		}
	}
}

func TestEgoscaleNamesGroupsInRules(t *testing.T) {
	r := start(t)
	c, ctx := r.sdk(t), t.Context()
	ok := succeeded(t, c)
	web := ok(c.CreateSecurityGroup(ctx, v3.CreateSecurityGroupRequest{Name: "web"}))
	app := ok(c.CreateSecurityGroup(ctx, v3.CreateSecurityGroupRequest{Name: "app"}))

	tests := []struct {
		peer v3.SecurityGroupResource
		want error
	}{
		{v3.SecurityGroupResource{ID: app}, nil},
		{v3.SecurityGroupResource{ID: app, Name: "app"}, v3.ErrConflict}, // the same rule
		{v3.SecurityGroupResource{Name: "web", Visibility: v3.SecurityGroupResourceVisibilityPrivate}, nil},
		{v3.SecurityGroupResource{ID: app, Name: "web"}, v3.ErrBadRequest},
		{v3.SecurityGroupResource{Name: "any", Visibility: v3.SecurityGroupResourceVisibilityPublic}, v3.ErrBadRequest},
		{v3.SecurityGroupResource{Name: "gone"}, v3.ErrNotFound},
		{v3.SecurityGroupResource{}, v3.ErrBadRequest},
	}
	for _, tt := range tests {
		rule := v3.SecurityGroupRule{FlowDirection: "ingress", Protocol: "gre", SecurityGroup: &tt.peer}
		if _, err := c.AddRuleToSecurityGroup(ctx, web, request(rule)); !errors.Is(err, tt.want) {
			t.Errorf("the peer %+v: got %v, want %v", tt.peer, err, tt.want)
		}
	}
	g, err := c.GetSecurityGroup(ctx, web)
	if err != nil {
		t.Fatal(explained(err))
	}
	var peers []v3.SecurityGroupResource
	for _, rule := range g.Rules {
		peers = append(peers, *rule.SecurityGroup)
	}
	if diff := cmp.Diff([]v3.SecurityGroupResource{{ID: app, Name: "app"}, {ID: web, Name: "web"}}, peers); diff != "" {
		t.Errorf("peers (-want +got):\n%s", diff)
	}
}
