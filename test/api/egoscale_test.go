package api_test

import (
	"errors"
	"strings"
	"testing"

	v3 "github.com/exoscale/egoscale/v3"
	"github.com/exoscale/egoscale/v3/credentials"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gabion/gabion/internal/server"
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
	if _, err := c.AddRuleToSecurityGroup(ctx, web, request(rules[0])); err == nil {
		t.Log("a rule sent twice within a second is a replay, and answered like the first")
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

	list, err := c.ListSecurityGroups(ctx)
	if err != nil {
		t.Fatal(explained(err))
	}
	var names []string
	for _, g := range list.SecurityGroups {
		names = append(names, g.Name)
	}
	if diff := cmp.Diff([]string{"default", "web", "app"}, names); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	public, err := c.ListSecurityGroups(ctx, v3.ListSecurityGroupsWithVisibility(v3.ListSecurityGroupsVisibilityPublic))
	if err != nil || len(public.SecurityGroups) > 0 {
		t.Errorf("public groups: got %v, %v", public, err)
	}

	if _, err := c.DeleteSecurityGroup(ctx, app); !errors.Is(err, v3.ErrConflict) || !strings.Contains(explained(err).Error(), "web") {
		t.Errorf("deleting a group that a rule names: got %v", err)
	}
	for _, rule := range got.Rules {
		ok(c.DeleteRuleFromSecurityGroup(ctx, web, rule.ID))
	}
	ok(c.RemoveExternalSourceFromSecurityGroup(ctx, web, v3.RemoveExternalSourceFromSecurityGroupRequest{Cidr: "198.51.100.7/32"}))
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

func TestEgoscaleInstances(t *testing.T) {
	r := start(t)
	c, ctx := r.sdk(t), t.Context()
	ok := succeeded(t, c)

	types, err := c.ListInstanceTypes(ctx)
	if err != nil {
		t.Fatal(explained(err))
	}
	templates, err := c.ListTemplates(ctx)
	if err != nil {
		t.Fatal(explained(err))
	}
	web := ok(c.CreateSecurityGroup(ctx, v3.CreateSecurityGroupRequest{Name: "web"}))
	id := ok(c.CreateInstance(ctx, v3.CreateInstanceRequest{
		Name: "web1", DiskSize: 10,
		InstanceType: &types.InstanceTypes[0], Template: &templates.Templates[0],
		Labels: v3.Labels{"role": "web"},
	}))

	i, err := c.GetInstance(ctx, id)
	if err != nil {
		t.Fatal(explained(err))
	}
	if i.SecurebootEnabled == nil || i.TpmEnabled == nil || i.Template == nil || i.InstanceType == nil || i.Labels["role"] != "web" {
		t.Errorf("the instance lacks what clients dereference: %+v", i)
	}
	if len(i.SecurityGroups) != 1 || i.SecurityGroups[0].Name != "default" {
		t.Errorf("without groups, an instance is in the primary one; got %v", i.SecurityGroups)
	}

	ok(c.StartInstance(ctx, id, v3.StartInstanceRequest{}))
	attach := v3.AttachInstanceToSecurityGroupRequest{Instance: i}
	if _, err := c.AttachInstanceToSecurityGroup(ctx, web, attach); !errors.Is(err, v3.ErrConflict) || !strings.Contains(explained(err).Error(), "stop") {
		t.Errorf("attaching while it runs: got %v", err)
	}
	ok(c.StopInstance(ctx, id))
	ok(c.AttachInstanceToSecurityGroup(ctx, web, attach))
	if _, err := c.DeleteSecurityGroup(ctx, web); !errors.Is(err, v3.ErrConflict) || !strings.Contains(explained(err).Error(), "web1") {
		t.Errorf("deleting a group with a member: got %v", err)
	}
	ok(c.DetachInstanceFromSecurityGroup(ctx, web, v3.DetachInstanceFromSecurityGroupRequest{Instance: &v3.Instance{ID: id}}))
	if _, err := c.DetachInstanceFromSecurityGroup(ctx, i.SecurityGroups[0].ID, v3.DetachInstanceFromSecurityGroupRequest{Instance: i}); !errors.Is(err, v3.ErrConflict) {
		t.Errorf("detaching the last group: got %v", err)
	}

	ok(c.AddInstanceProtection(ctx, id))
	if _, err := c.DeleteInstance(ctx, id); !errors.Is(err, v3.ErrConflict) {
		t.Errorf("deleting a protected instance: got %v", err)
	}
	ok(c.RemoveInstanceProtection(ctx, id))
	ok(c.UpdateInstance(ctx, id, v3.UpdateInstanceRequest{Name: "web2", Labels: v3.Labels{"role": "web", "stage": "test"}}))
	list, err := c.ListInstances(ctx, v3.ListInstancesWithLabels("stage:test,role:web"))
	if err != nil || len(list.Instances) != 1 || list.Instances[0].Name != "web2" {
		t.Errorf("instances by label: got %v, %v", list, err)
	}
	if _, err := c.GetReverseDNSInstance(ctx, id); !errors.Is(err, v3.ErrNotFound) {
		t.Errorf("reverse DNS: got %v", err)
	}
	list, err = c.ListInstances(ctx, v3.ListInstancesWithIPAddress("10.0.0.7"))
	if err != nil || len(list.Instances) != 0 {
		t.Errorf("instances by address: got %v, %v", list, err)
	}
}

func TestEgoscaleZones(t *testing.T) {
	r := start(t)
	c := r.sdk(t)
	endpoint, err := c.GetZoneAPIEndpoint(t.Context(), v3.ZoneName(r.env["EXOSCALE_ZONE"]))
	if err != nil || string(endpoint) != r.endpoint {
		t.Errorf("got %q, %v; want %q", endpoint, err, r.endpoint)
	}
}

func TestEgoscaleLiveGroupChanges(t *testing.T) {
	r := startAs(t, func(c *server.Config) { c.LiveGroupChanges = true })
	c, ctx := r.sdk(t), t.Context()
	ok := succeeded(t, c)
	web := ok(c.CreateSecurityGroup(ctx, v3.CreateSecurityGroupRequest{Name: "web"}))
	id := ok(c.CreateInstance(ctx, v3.CreateInstanceRequest{
		Name: "web1", DiskSize: 10, InstanceType: &v3.InstanceType{}, Template: &v3.Template{},
	}))
	ok(c.StartInstance(ctx, id, v3.StartInstanceRequest{}))
	ok(c.AttachInstanceToSecurityGroup(ctx, web, v3.AttachInstanceToSecurityGroupRequest{Instance: &v3.Instance{ID: id}}))
}

func TestEgoscaleWrongSecret(t *testing.T) {
	r := start(t)
	r.env["EXOSCALE_API_SECRET"] = "guessed"
	if _, err := r.sdk(t).ListSecurityGroups(t.Context()); !errors.Is(err, v3.ErrForbidden) {
		t.Errorf("got %v", err)
	}
}
