package api_test

import (
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	v2 "github.com/exoscale/egoscale/v2"
	legacy "github.com/exoscale/egoscale/v2/api"
	"github.com/exoscale/egoscale/v2/oapi"
	"github.com/google/go-cmp/cmp"
)

// zone is what the older SDK wants with every call. That an address is asked, and
// no name, keeps it from asking at a name that it makes of the zone.
const zone = "ch-gva-2"

// legacy is the SDK before egoscale v3, which exo and the Terraform provider still
// use for some of their calls.
func (r *running) legacy(t *testing.T) *v2.Client {
	t.Helper()
	return legacyClient(t, r, v2.ClientOptWithAPIEndpoint(r.endpoint),
		v2.ClientOptWithHTTPClient(&http.Client{Transport: r.http.Transport}))
}

func legacyClient(t *testing.T, r *running, opts ...v2.ClientOpt) *v2.Client {
	t.Helper()
	c, err := v2.NewClient(r.env["EXOSCALE_API_KEY"], r.env["EXOSCALE_API_SECRET"],
		append(opts, v2.ClientOptWithPollInterval(10*time.Millisecond))...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func network(t *testing.T, cidr string) *net.IPNet {
	t.Helper()
	_, n, err := net.ParseCIDR(cidr)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestLegacyGroups(t *testing.T) {
	r := start(t)
	c, ctx := r.legacy(t), t.Context()
	web, err := c.CreateSecurityGroup(ctx, zone, &v2.SecurityGroup{Name: new("web"), Description: new("what faces the internet")})
	if err != nil {
		t.Fatal(err)
	}
	if *web.Name != "web" || *web.Description != "what faces the internet" || web.Rules != nil || web.ExternalSources != nil {
		t.Errorf("a new group: got %+v", web)
	}
	for _, cidr := range []string{"198.51.100.7/32", "2001:db8::/32"} {
		if err := c.AddExternalSourceToSecurityGroup(ctx, zone, web, cidr); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.RemoveExternalSourceFromSecurityGroup(ctx, zone, web, "198.51.100.7/32"); err != nil {
		t.Fatal(err)
	}
	for _, by := range []string{"web", *web.ID} {
		found, err := c.FindSecurityGroup(ctx, zone, by)
		if err != nil {
			t.Fatalf("the group by %q: %v", by, err)
		}
		if diff := cmp.Diff(&[]string{"2001:db8::/32"}, found.ExternalSources); diff != "" {
			t.Errorf("external sources of the group by %q (-want +got):\n%s", by, diff)
		}
	}

	if all, err := c.ListSecurityGroups(ctx, zone); err != nil || len(all) != 2 || *all[0].Name != "default" || *all[1].Name != "web" {
		t.Errorf("groups: got %v, %v", all, err)
	}
	for visibility, want := range map[oapi.ListSecurityGroupsParamsVisibility]int{"private": 2, "public": 0} {
		found, err := c.FindSecurityGroups(ctx, zone, &oapi.ListSecurityGroupsParams{Visibility: &visibility})
		if err != nil || len(found) != want {
			t.Errorf("%s groups: got %v, %v", visibility, found, err)
		}
	}

	if err := c.DeleteSecurityGroup(ctx, zone, web); err != nil {
		t.Fatal(err)
	}
	if _, err := c.GetSecurityGroup(ctx, zone, *web.ID); !errors.Is(err, legacy.ErrNotFound) {
		t.Errorf("a group that is gone: got %v", err)
	}
	if err := c.DeleteSecurityGroup(ctx, zone, &v2.SecurityGroup{ID: new(absent)}); !errors.Is(err, legacy.ErrNotFound) {
		t.Errorf("deleting what is not there: got %v", err)
	}
}

// The older SDK, too, finds the rule that it made by comparing fields.
func TestLegacyRules(t *testing.T) {
	r := start(t)
	c, ctx := r.legacy(t), t.Context()
	web, err := c.CreateSecurityGroup(ctx, zone, &v2.SecurityGroup{Name: new("web")})
	if err != nil {
		t.Fatal(err)
	}
	rules := []v2.SecurityGroupRule{
		{Protocol: new("tcp"), StartPort: new(uint16(443)), EndPort: new(uint16(443)), Network: network(t, "0.0.0.0/0"), Description: new("HTTPS")},
		{Protocol: new("udp"), StartPort: new(uint16(1)), EndPort: new(uint16(65535)), Network: network(t, "2001:db8::/32")},
		{Protocol: new("tcp"), SecurityGroupID: web.ID},
		{Protocol: new("icmp"), ICMPType: new(int64(8)), ICMPCode: new(int64(0)), Network: network(t, "10.0.0.0/8")},
		{Protocol: new("icmpv6"), ICMPType: new(int64(-1)), ICMPCode: new(int64(-1)), Network: network(t, "::/0")},
		{Protocol: new("icmp"), Network: network(t, "192.0.2.1/32")}, // with "icmp":{}
		{Protocol: new("ipip"), Network: network(t, "192.0.2.1/32")},
	}
	var made []*v2.SecurityGroupRule
	for i := range rules {
		rules[i].FlowDirection = new("egress")
		rule, err := c.CreateSecurityGroupRule(ctx, zone, web, &rules[i])
		if err != nil {
			t.Fatalf("rule %d: %v", i, err)
		}
		made = append(made, rule)
	}
	rules[5].ICMPType, rules[5].ICMPCode = new(int64(-1)), new(int64(-1))

	got, err := c.GetSecurityGroup(ctx, zone, *web.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made, got.Rules); diff != "" {
		t.Errorf("rules, as they were made and as they are (-made +got):\n%s", diff)
	}
	for i, rule := range got.Rules {
		rules[i].ID = rule.ID
		if diff := cmp.Diff(&rules[i], rule); diff != "" {
			t.Errorf("rule %d (-asked +got):\n%s", i, diff)
		}
		if err := c.DeleteSecurityGroupRule(ctx, zone, web, rule); err != nil {
			t.Errorf("deleting rule %d: %v", i, err)
		}
	}
	if _, err := c.CreateSecurityGroupRule(ctx, zone, web, &v2.SecurityGroupRule{
		FlowDirection: new("ingress"), Protocol: new("tcp"), SecurityGroupName: new("somebody's"),
	}); !errors.Is(err, legacy.ErrInvalidRequest) || !strings.Contains(err.Error(), "there are no public groups here") {
		t.Errorf("a public group as the peer: got %v", err)
	}
}

func TestLegacyWaitsForALateHost(t *testing.T) {
	t.Parallel()
	r := start(t)
	c, ctx := r.legacy(t), t.Context()
	h := r.join(t, "hv1")
	r.register(t, "hv1", "web1", 1)
	group := &v2.SecurityGroup{ID: new(r.defaultGroup(t))}

	h.hold()
	type result struct {
		rule *v2.SecurityGroupRule
		err  error
	}
	made := make(chan result, 1)
	go func() {
		rule, err := c.CreateSecurityGroupRule(ctx, zone, group, &v2.SecurityGroupRule{
			FlowDirection: new("ingress"), Protocol: new("gre"), Network: network(t, "192.0.2.0/24"),
		})
		made <- result{rule, err}
	}()
	// The rule is there, but not enforced: the SDK goes on asking.
	r.await(t, "/security-group/"+*group.ID, func(a answer) bool { return strings.Contains(a.text, `"gre"`) })
	select {
	case early := <-made:
		t.Fatalf("before the host enforces it: got %v, %v", early.rule, early.err)
	default:
	}
	h.release()
	if late := <-made; late.err != nil || *late.rule.Protocol != "gre" {
		t.Errorf("once the host enforces it: got %v, %v", late.rule, late.err)
	}
}

func TestLegacySendsAgainWhatIsMadeOnce(t *testing.T) {
	t.Parallel()
	r := start(t)
	for _, status := range losses[:3] { // one by one: its clients share one HTTP client
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			l, ctx := r.lossy(t, status), t.Context()
			c := legacyClient(t, r, v2.ClientOptWithAPIEndpoint(l.url)) // with its own HTTP client, which tries again
			web, err := c.CreateSecurityGroup(ctx, zone, &v2.SecurityGroup{Name: new("web-" + strconv.Itoa(status))})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.AddExternalSourceToSecurityGroup(ctx, zone, web, "192.0.2.0/24"); err != nil {
				t.Error(err)
			}
			if err := c.DeleteSecurityGroup(ctx, zone, web); err != nil {
				t.Error(err)
			}
			l.check(t, 3)
		})
	}
}

func TestLegacyZones(t *testing.T) {
	r := start(t)
	if zones, err := r.legacy(t).ListZones(t.Context()); err != nil || !cmp.Equal(zones, []string{zone}) {
		t.Errorf("zones, signed: got %v, %v", zones, err)
	}
	r.env["EXOSCALE_API_SECRET"] = "guessed"
	if _, err := r.legacy(t).ListZones(t.Context()); !errors.Is(err, legacy.ErrInvalidRequest) || !strings.Contains(err.Error(), "signature") {
		t.Errorf("zones, signed wrongly: got %v", err)
	}
}
