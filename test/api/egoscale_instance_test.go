package api_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	v2 "github.com/exoscale/egoscale/v2"
	v3 "github.com/exoscale/egoscale/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/gabion/gabion/internal/server"
)

// instanceRequest asks for an instance as the SDK's users do.
func instanceRequest(t *testing.T, c *v3.Client, name string) v3.CreateInstanceRequest {
	t.Helper()
	types, err := c.ListInstanceTypes(t.Context())
	if err != nil {
		t.Fatal(explained(err))
	}
	small, err := types.FindInstanceTypeByIdOrFamilyAndSize("standard.small")
	if err != nil {
		t.Fatal(err)
	}
	templates, err := c.ListTemplates(t.Context(), v3.ListTemplatesWithVisibility(v3.ListTemplatesVisibilityPublic))
	if err != nil {
		t.Fatal(explained(err))
	}
	some, err := templates.FindTemplate("Any")
	if err != nil {
		t.Fatal(err)
	}
	q := v3.CreateInstanceRequest{
		Name: name, DiskSize: 50, InstanceType: &small, Template: &some,
		Ipv6Enabled: v3.Ptr(false), TpmEnabled: v3.Ptr(false), SecurebootEnabled: v3.Ptr(false),
		PublicIPAssignment: v3.PublicIPAssignmentInet4, SSHKeys: []v3.SSHKey{{Name: "me"}}, UserData: "I2Nsb3VkLWNvbmZpZw==",
	}
	if err := c.Validate(q); err != nil {
		t.Fatal(err)
	}
	return q
}

func TestEgoscaleInstances(t *testing.T) {
	r := start(t)
	c, ctx := r.sdk(t), t.Context()
	ok := succeeded(t, c)
	web := ok(c.CreateSecurityGroup(ctx, v3.CreateSecurityGroupRequest{Name: "web"}))
	q := instanceRequest(t, c, "web1")
	q.Labels = v3.Labels{"role": "web"}
	id := ok(c.CreateInstance(ctx, q))

	i, err := c.GetInstance(ctx, id)
	if err != nil {
		t.Fatal(explained(err))
	}
	if i.SecurebootEnabled == nil || i.TpmEnabled == nil || i.Template == nil || i.InstanceType == nil || i.Labels["role"] != "web" {
		t.Errorf("the instance lacks what clients dereference: %+v", i)
	}
	if i.Name != "web1" || i.CreatedAT.IsZero() || i.State != v3.InstanceStateStopped {
		t.Errorf("the instance: got %+v", i)
	}
	if len(i.SecurityGroups) != 1 || i.SecurityGroups[0].Name != "default" {
		t.Errorf("without groups, an instance is in the primary one; got %v", i.SecurityGroups)
	}

	ok(c.StartInstance(ctx, id, v3.StartInstanceRequest{}))
	attach := v3.AttachInstanceToSecurityGroupRequest{Instance: i} // all of it, as it was shown
	if _, err := c.AttachInstanceToSecurityGroup(ctx, web, attach); !errors.Is(err, v3.ErrConflict) || !strings.Contains(explained(err).Error(), "stop") {
		t.Errorf("attaching while it runs: got %v", err)
	}
	ok(c.StopInstance(ctx, id))
	ok(c.AttachInstanceToSecurityGroup(ctx, web, attach))
	if _, err := c.DeleteSecurityGroup(ctx, web); !errors.Is(err, v3.ErrConflict) || !strings.Contains(explained(err).Error(), "web1") {
		t.Errorf("deleting a group with a member: got %v", err)
	}
	// The SDK sends what it has no value for: "created-at":"0001-01-01T00:00:00Z".
	ok(c.DetachInstanceFromSecurityGroup(ctx, web, v3.DetachInstanceFromSecurityGroupRequest{Instance: &v3.Instance{ID: id}}))
	if _, err := c.DetachInstanceFromSecurityGroup(ctx, i.SecurityGroups[0].ID, v3.DetachInstanceFromSecurityGroupRequest{Instance: i}); !errors.Is(err, v3.ErrConflict) {
		t.Errorf("detaching the last group: got %v", err)
	}

	ok(c.AddInstanceProtection(ctx, id))
	if _, err := c.DeleteInstance(ctx, id); !errors.Is(err, v3.ErrConflict) {
		t.Errorf("deleting a protected instance: got %v", err)
	}
	ok(c.RemoveInstanceProtection(ctx, id))
	if gone := ok(c.DeleteInstance(ctx, id)); gone != id {
		t.Errorf("deleting %s refers to %s", id, gone)
	}
	if _, err := c.GetInstance(ctx, id); !errors.Is(err, v3.ErrNotFound) {
		t.Errorf("an instance that is gone: got %v", err)
	}
	ok(c.DeleteSecurityGroup(ctx, web))
}

func TestEgoscaleInstanceStates(t *testing.T) {
	r := start(t)
	c, ctx := r.sdk(t), t.Context()
	ok := succeeded(t, c)
	id := ok(c.CreateInstance(ctx, instanceRequest(t, c, "web1")))

	for _, tt := range []struct {
		name   string
		change func() (*v3.Operation, error)
		want   v3.InstanceState
	}{
		{"start", func() (*v3.Operation, error) { return c.StartInstance(ctx, id, v3.StartInstanceRequest{}) }, v3.InstanceStateRunning},
		{"reboot", func() (*v3.Operation, error) { return c.RebootInstance(ctx, id) }, v3.InstanceStateRunning},
		{"stop", func() (*v3.Operation, error) { return c.StopInstance(ctx, id) }, v3.InstanceStateStopped},
		{"rescue", func() (*v3.Operation, error) {
			return c.StartInstance(ctx, id, v3.StartInstanceRequest{RescueProfile: v3.StartInstanceRequestRescueProfileNetboot})
		}, v3.InstanceStateRunning},
	} {
		if got := ok(tt.change()); got != id {
			t.Errorf("%s refers to %s, want %s", tt.name, got, id)
		}
		if i, err := c.GetInstance(ctx, id); err != nil || i.State != tt.want {
			t.Errorf("after %s: got %v, %v; want %s", tt.name, i, err, tt.want)
		}
	}
}

func TestEgoscaleFindsInstances(t *testing.T) {
	r := start(t)
	c, ctx := r.sdk(t), t.Context()
	ok := succeeded(t, c)
	id := ok(c.CreateInstance(ctx, instanceRequest(t, c, "web1")))
	ok(c.CreateInstance(ctx, instanceRequest(t, c, "web2")))
	ok(c.UpdateInstance(ctx, id, v3.UpdateInstanceRequest{Labels: v3.Labels{"role": "web", "stage": "test"}}))
	ok(c.UpdateInstance(ctx, id, v3.UpdateInstanceRequest{Name: "www1"})) // with "labels":null, which changes none
	r.join(t, "hv1")
	r.register(t, "hv1", "db1", 7)

	tests := []struct {
		name string
		opts []v3.ListInstancesOpt
		want []string
	}{
		{"all", nil, []string{"www1", "web2", "db1"}},
		{"by labels", []v3.ListInstancesOpt{v3.ListInstancesWithLabels("stage:test,role:web")}, []string{"www1"}},
		{"by another label", []v3.ListInstancesOpt{v3.ListInstancesWithLabels("stage:live")}, nil},
		{"by IPv4 address", []v3.ListInstancesOpt{v3.ListInstancesWithIPAddress("10.0.0.7")}, []string{"db1"}},
		{"by IPv6 address", []v3.ListInstancesOpt{v3.ListInstancesWithIPAddress("2001:db8::7")}, []string{"db1"}},
		{"by nobody's address", []v3.ListInstancesOpt{v3.ListInstancesWithIPAddress("10.0.0.8")}, nil},
		{"by address and label", []v3.ListInstancesOpt{v3.ListInstancesWithIPAddress("10.0.0.7"), v3.ListInstancesWithLabels("role:web")}, nil},
		{"by manager", []v3.ListInstancesOpt{v3.ListInstancesWithManagerType(v3.ListInstancesManagerTypeInstancePool), v3.ListInstancesWithManagerID(id)}, nil},
	}
	for _, tt := range tests {
		list, err := c.ListInstances(ctx, tt.opts...)
		if err != nil {
			t.Fatal(explained(err))
		}
		var names []string
		for _, i := range list.Instances {
			names = append(names, i.Name)
		}
		if diff := cmp.Diff(tt.want, names); diff != "" {
			t.Errorf("instances, %s (-want +got):\n%s", tt.name, diff)
		}
		if found, err := list.FindListInstancesResponseInstances("www1"); len(tt.want) == 3 && (err != nil || found.ID != id) {
			t.Errorf("www1 by name: got %v, %v", found, err)
		}
	}
	db, err := c.ListInstances(ctx, v3.ListInstancesWithIPAddress("10.0.0.7"))
	if err != nil {
		t.Fatal(explained(err))
	}
	if i := db.Instances[0]; i.PublicIP.String() != "10.0.0.7" || i.Ipv6Address != "2001:db8::7" || i.State != v3.InstanceStateRunning {
		t.Errorf("an instance on a host: got %+v", i)
	}
}

func TestEgoscaleCatalog(t *testing.T) {
	r := start(t)
	c, ctx := r.sdk(t), t.Context()
	q := instanceRequest(t, c, "web1")
	if got, err := c.GetInstanceType(ctx, q.InstanceType.ID); err != nil || got.Size != v3.InstanceTypeSizeSmall || got.Authorized == nil {
		t.Errorf("the instance type: got %v, %v", got, err)
	}
	if got, err := c.GetTemplate(ctx, q.Template.ID); err != nil || got.Name != "Any" || got.SSHKeyEnabled == nil || got.PasswordEnabled == nil {
		t.Errorf("the template: got %v, %v", got, err)
	}
	none := v3.UUID(absent)
	if _, err := c.GetInstanceType(ctx, none); !errors.Is(err, v3.ErrNotFound) {
		t.Errorf("another instance type: got %v", err)
	}
	if _, err := c.GetTemplate(ctx, none); !errors.Is(err, v3.ErrNotFound) {
		t.Errorf("another template: got %v", err)
	}
	for visibility, want := range map[v3.ListTemplatesVisibility]int{
		v3.ListTemplatesVisibilityPublic: 1, v3.ListTemplatesVisibilityPrivate: 0,
	} {
		if list, err := c.ListTemplates(ctx, v3.ListTemplatesWithVisibility(visibility)); err != nil || len(list.Templates) != want {
			t.Errorf("templates, %s: got %v, %v", visibility, list, err)
		}
	}
	if list, err := c.ListTemplates(ctx, v3.ListTemplatesWithFamily("centos")); err != nil || len(list.Templates) != 0 {
		t.Errorf("templates of another family: got %v, %v", list, err)
	}
}

func TestEgoscaleWhatIsNotKept(t *testing.T) {
	r := start(t)
	c, ctx := r.sdk(t), t.Context()
	ok := succeeded(t, c)
	id := ok(c.CreateInstance(ctx, instanceRequest(t, c, "web1")))

	ok(c.RegisterSSHKey(ctx, v3.RegisterSSHKeyRequest{Name: "me", PublicKey: "ssh-ed25519 AAAA me"}))
	if key, err := c.GetSSHKey(ctx, "me"); err != nil || key.Name != "me" {
		t.Errorf("the key that was just registered: got %v, %v", key, err)
	}
	if keys, err := c.ListSSHKeys(ctx); err != nil || len(keys.SSHKeys) != 0 {
		t.Errorf("keys: got %v, %v", keys, err)
	}
	ok(c.DeleteSSHKey(ctx, "me"))

	if _, err := c.GetReverseDNSInstance(ctx, id); !errors.Is(err, v3.ErrNotFound) {
		t.Errorf("reverse DNS: got %v", err)
	}
	op, err := c.DeleteReverseDNSInstance(ctx, id)
	ok(op, err)
	if again, err := c.GetOperation(ctx, op.ID); err != nil || again.State != v3.OperationStateSuccess {
		t.Errorf("its operation, later: got %v, %v", again, err)
	}
}

func TestEgoscaleZones(t *testing.T) {
	r := start(t)
	c := r.sdk(t)
	zone, endpoint := v3.ZoneName(r.env["EXOSCALE_ZONE"]), v3.Endpoint(r.endpoint)
	if zone != "ch-gva-2" {
		t.Errorf("the zone is %q, which is not what clients take when nobody names one", zone)
	}
	if got, err := c.GetZoneAPIEndpoint(t.Context(), zone); err != nil || got != endpoint {
		t.Errorf("the zone's endpoint: got %q, %v; want %q", got, err, endpoint)
	}
	if got, err := c.GetZoneName(t.Context(), endpoint); err != nil || got != zone {
		t.Errorf("the endpoint's zone: got %q, %v; want %q", got, err, zone)
	}
	there, err := c.GetZoneAPIEndpoint(t.Context(), zone)
	if err != nil {
		t.Fatal(explained(err))
	}
	if _, err := c.WithEndpoint(there).ListSecurityGroups(t.Context()); err != nil {
		t.Errorf("asking at the zone's endpoint: %v", explained(err))
	}
	if a := r.send(t, r.request(t, "GET", "/zone", "")); a.status != 200 || !strings.Contains(a.text, string(endpoint)) {
		t.Errorf("zones, unsigned: got %d %s", a.status, a.text)
	}
}

// Where a client found the API it finds the zone, too.
func TestZonesWithoutTLS(t *testing.T) {
	r := startAs(t, func(c *server.Config) { c.ListenHTTP = "127.0.0.1:0" })
	c, err := r.sdk(t).WithEndpoint(v3.Endpoint(r.plain)).GetZoneAPIEndpoint(t.Context(), zone)
	if err != nil || string(c) != r.plain {
		t.Errorf("the zone's endpoint: got %q, %v; want %q", c, err, r.plain)
	}
	if _, err := r.sdk(t).WithEndpoint(c).ListSecurityGroups(t.Context()); err != nil {
		t.Errorf("asking there: %v", explained(err))
	}
	older := legacyClient(t, r, v2.ClientOptWithAPIEndpoint(r.plain),
		v2.ClientOptWithHTTPClient(&http.Client{Transport: r.http.Transport}))
	if groups, err := older.ListSecurityGroups(t.Context(), zone); err != nil || len(groups) != 1 {
		t.Errorf("the older SDK, there: got %v, %v", groups, err)
	}

	req := r.request(t, "GET", "/zone", "")
	req.URL.Scheme, req.URL.Host = "http", strings.TrimSuffix(strings.TrimPrefix(r.plain, "http://"), "/v2")
	req.Host = "api.example.com" // as a proxy with TLS passes it on
	if a := r.send(t, req); !strings.Contains(a.text, `"api-endpoint":"https://api.example.com/v2"`) {
		t.Errorf("behind a proxy: got %s", a.text)
	}
}

func TestEgoscaleLiveGroupChanges(t *testing.T) {
	r := startAs(t, func(c *server.Config) { c.LiveGroupChanges = true })
	c, ctx := r.sdk(t), t.Context()
	ok := succeeded(t, c)
	web := ok(c.CreateSecurityGroup(ctx, v3.CreateSecurityGroupRequest{Name: "web"}))
	id := ok(c.CreateInstance(ctx, instanceRequest(t, c, "web1")))
	ok(c.StartInstance(ctx, id, v3.StartInstanceRequest{}))
	ok(c.AttachInstanceToSecurityGroup(ctx, web, v3.AttachInstanceToSecurityGroupRequest{Instance: &v3.Instance{ID: id}}))
}
