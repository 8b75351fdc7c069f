package api_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	v2 "github.com/exoscale/egoscale/v2"
	legacy "github.com/exoscale/egoscale/v2/api"
	"github.com/exoscale/egoscale/v2/oapi"
	"github.com/google/go-cmp/cmp"
)

// legacyInstance makes an instance as the older SDK's users do.
func legacyInstance(t *testing.T, c *v2.Client, name string) *v2.Instance {
	t.Helper()
	small, err := c.FindInstanceType(t.Context(), zone, "standard.small")
	if err != nil {
		t.Fatal(err)
	}
	some, err := c.FindTemplate(t.Context(), zone, "Any", "public")
	if err != nil {
		t.Fatal(err)
	}
	i, err := c.CreateInstance(t.Context(), zone, &v2.Instance{
		Name: &name, DiskSize: new(int64(50)), InstanceTypeID: small.ID, TemplateID: some.ID,
		IPv6Enabled: new(false), PublicIPAssignment: new("inet4"), SSHKey: new("me"),
		Labels: &map[string]string{"role": "web"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestLegacyInstances(t *testing.T) {
	r := start(t)
	c, ctx := r.legacy(t), t.Context()
	web, err := c.CreateSecurityGroup(ctx, zone, &v2.SecurityGroup{Name: new("web")})
	if err != nil {
		t.Fatal(err)
	}
	i := legacyInstance(t, c, "web1")
	if *i.Name != "web1" || *i.State != "stopped" || i.CreatedAt == nil || (*i.Labels)["role"] != "web" || len(*i.SecurityGroupIDs) != 1 {
		t.Errorf("a new instance: got %+v", i)
	}

	steps := []struct {
		name string
		do   func() error
		want error
		says string
	}{
		{"start", func() error { return c.StartInstance(ctx, zone, i) }, nil, ""},
		{"start to rescue", func() error { return c.StartInstance(ctx, zone, i, v2.StartInstanceWithRescueProfile("netboot")) }, nil, ""},
		{"reboot", func() error { return c.RebootInstance(ctx, zone, i) }, nil, ""},
		{"attach while it runs", func() error { return c.AttachInstanceToSecurityGroup(ctx, zone, i, web) }, legacy.ErrInvalidRequest, "stop it first"},
		{"stop", func() error { return c.StopInstance(ctx, zone, i) }, nil, ""},
		{"attach", func() error { return c.AttachInstanceToSecurityGroup(ctx, zone, i, web) }, nil, ""},
		{"delete a group with a member", func() error { return c.DeleteSecurityGroup(ctx, zone, web) }, legacy.ErrInvalidRequest, "web1"},
		{"detach", func() error { return c.DetachInstanceFromSecurityGroup(ctx, zone, i, web) }, nil, ""},
		{"rename", func() error {
			return c.UpdateInstance(ctx, zone, &v2.Instance{ID: i.ID, Name: new("www1"), Labels: &map[string]string{"role": "www"}})
		}, nil, ""},
		{"protect", func() error { return status(c.AddInstanceProtectionWithResponse(ctx, *i.ID)) }, nil, ""},
		{"delete while it is protected", func() error { return c.DeleteInstance(ctx, zone, i) }, legacy.ErrInvalidRequest, "protected"},
		{"unprotect", func() error { return status(c.RemoveInstanceProtectionWithResponse(ctx, *i.ID)) }, nil, ""},
		{"delete", func() error { return c.DeleteInstance(ctx, zone, i) }, nil, ""},
		{"delete what is not there", func() error { return c.DeleteInstance(ctx, zone, &v2.Instance{ID: new(absent)}) }, legacy.ErrNotFound, ""},
		{"delete its group", func() error { return c.DeleteSecurityGroup(ctx, zone, web) }, nil, ""},
	}
	for _, step := range steps {
		if err := step.do(); !errors.Is(err, step.want) || err != nil && !strings.Contains(err.Error(), step.says) {
			t.Errorf("%s: got %v, want %v that says %q", step.name, err, step.want, step.says)
		}
		if i, err := c.FindInstance(ctx, zone, "www1"); step.name == "rename" && (err != nil || (*i.Labels)["role"] != "www") {
			t.Errorf("after rename: got %+v, %v", i, err)
		}
	}
}

// status is the error of an answer to one of the SDK's generated calls.
func status(answer interface{ StatusCode() int }, err error) error {
	if err == nil && answer.StatusCode() != http.StatusOK {
		return errors.New(http.StatusText(answer.StatusCode()))
	}
	return err
}

func TestLegacyFindsInstances(t *testing.T) {
	r := start(t)
	c, ctx := r.legacy(t), t.Context()
	legacyInstance(t, c, "web1")
	r.join(t, "hv1")
	r.register(t, "hv1", "db1", 7)

	for name, tt := range map[string]struct {
		opt  v2.ListInstancesOpt
		want []string
	}{
		"all":             {v2.ListInstancesByIpAddress(""), []string{"web1", "db1"}},
		"by IPv4 address": {v2.ListInstancesByIpAddress("10.0.0.7"), []string{"db1"}},
		"by IPv6 address": {v2.ListInstancesByIpAddress("2001:db8::7"), []string{"db1"}},
		"by manager":      {v2.ListInstancesByManagerID(absent), nil},
		"by manager type": {v2.ListInstancesByManagerType("instance-pool"), nil},
	} {
		list, err := c.ListInstances(ctx, zone, tt.opt)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, i := range list {
			names = append(names, *i.Name)
		}
		if diff := cmp.Diff(tt.want, names); diff != "" {
			t.Errorf("instances, %s (-want +got):\n%s", name, diff)
		}
	}
	i, err := c.FindInstance(ctx, zone, "db1")
	if err != nil || i.PublicIPAddress.String() != "10.0.0.7" || i.IPv6Address.String() != "2001:db8::7" || *i.State != "running" {
		t.Errorf("an instance on a host: got %+v, %v", i, err)
	}
	if _, err := c.FindInstance(ctx, zone, "db2"); !errors.Is(err, legacy.ErrNotFound) {
		t.Errorf("no instance: got %v", err)
	}
}

func TestLegacyCatalog(t *testing.T) {
	r := start(t)
	c, ctx := r.legacy(t), t.Context()
	types, err := c.ListInstanceTypes(ctx, zone)
	if err != nil || len(types) != 1 || !*types[0].Authorized {
		t.Errorf("instance types: got %v, %v", types, err)
	}
	if _, err := c.GetInstanceType(ctx, zone, *types[0].ID); err != nil {
		t.Error(err)
	}
	templates, err := c.ListTemplates(ctx, zone)
	if err != nil || len(templates) != 1 {
		t.Fatalf("templates: got %v, %v", templates, err)
	}
	if _, err := c.GetTemplate(ctx, zone, *templates[0].ID); err != nil {
		t.Error(err)
	}
	for visibility, want := range map[string]error{"public": nil, "private": legacy.ErrNotFound} {
		if _, err := c.GetTemplateByName(ctx, zone, "Any", visibility); !errors.Is(err, want) {
			t.Errorf("the %s template: got %v, want %v", visibility, err, want)
		}
	}
	if list, err := c.ListTemplates(ctx, zone, v2.ListTemplatesWithFamily("centos")); err != nil || len(list) != 0 {
		t.Errorf("templates of another family: got %v, %v", list, err)
	}
}

// The older SDK asks for the operation also of a change that succeeded at once.
func TestLegacyWhatIsNotKept(t *testing.T) {
	r := start(t)
	c, ctx := r.legacy(t), t.Context()
	i := legacyInstance(t, c, "web1")
	key, err := c.RegisterSSHKey(ctx, zone, "me", "ssh-ed25519 AAAA me")
	if err != nil || *key.Name != "me" {
		t.Fatalf("registering a key: got %v, %v", key, err)
	}
	if keys, err := c.ListSSHKeys(ctx, zone); err != nil || len(keys) != 0 {
		t.Errorf("keys: got %v, %v", keys, err)
	}
	if err := c.DeleteSSHKey(ctx, zone, key); err != nil {
		t.Errorf("deleting the key: %v", err)
	}
	if _, err := c.GetInstanceReverseDNS(ctx, zone, *i.ID); !errors.Is(err, legacy.ErrNotFound) {
		t.Errorf("reverse DNS: got %v", err)
	}
	if err := c.DeleteInstanceReverseDNS(ctx, zone, *i.ID); err != nil {
		t.Errorf("deleting reverse DNS: %v", err)
	}
}

// What the SDK signs is what it sends: the escaped path with /v2, and the values
// of the query arguments in the order of their names.
func TestLegacySignsTheQuery(t *testing.T) {
	r := start(t)
	c := r.legacy(t)
	manager, address := "a b/c", "10.0.0.7"
	got, err := c.ListInstancesWithResponse(t.Context(), &oapi.ListInstancesParams{ManagerId: &manager, IpAddress: &address})
	if err := status(got, err); err != nil {
		t.Error(err)
	}
	unsigned := func(_ context.Context, req *http.Request) error {
		req.URL.RawQuery += "&visibility=public"
		return nil
	}
	if _, err := c.ListSecurityGroupsWithResponse(t.Context(), &oapi.ListSecurityGroupsParams{}, unsigned); err == nil ||
		!strings.Contains(err.Error(), "not signed") {
		t.Errorf("an argument added behind the signature: got %v", err)
	}
}
