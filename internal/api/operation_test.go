package api_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gabion/gabion"
)

func TestChangeIsPendingUntilAllHostsEnforceIt(t *testing.T) {
	stored := made()
	store := &fakeStore{
		createGroup: func(gabion.Group) (gabion.Operation, error) { return stored, nil },
		operation:   func() (gabion.Operation, error) { return stored, nil },
		finish:      func(op gabion.Operation) error { stored = op; return nil },
	}
	a := ask(t, newHandler(t, store, "hv1", "hv2"), "POST", "/security-group", `{"name":"web"}`)
	if a.status != 200 || a.state != "pending" || a.message != "waiting for hosts hv1, hv2 to enforce it" {
		t.Errorf("while hosts are missing: got %+v", a)
	}
	a = ask(t, newHandler(t, store, "hv2"), "GET", "/operation/"+opID, "")
	if a.state != "pending" || a.message != "waiting for host hv2 to enforce it" || stored.State != gabion.OperationPending {
		t.Errorf("while one is missing: got %+v, stored %s", a, stored.State)
	}
	a = ask(t, newHandler(t, store), "GET", "/operation/"+opID, "")
	if a.state != "success" || stored.State != gabion.OperationSuccess {
		t.Errorf("when all have it: got %+v, stored %s", a, stored.State)
	}
	a = ask(t, newHandler(t, store, "hv1"), "GET", "/operation/"+opID, "")
	if a.state != "success" {
		t.Errorf("a success went back: got %+v", a)
	}
}

func TestSuccessThatCannotBeStoredIsPending(t *testing.T) {
	store := &fakeStore{
		createGroup: func(gabion.Group) (gabion.Operation, error) { return made(), nil },
		finish:      func(gabion.Operation) error { return errors.New("disk full") },
	}
	if a := ask(t, newHandler(t, store), "POST", "/security-group", `{"name":"web"}`); a.status != 200 || a.state != "pending" {
		t.Errorf("the change was made; got %+v", a)
	}
}

func TestWarnings(t *testing.T) {
	ssh := gabion.Rule{ID: id, Direction: gabion.Ingress, Protocol: gabion.TCP}
	out := gabion.Rule{ID: opID, Direction: gabion.Egress, Protocol: gabion.TCP}
	const (
		add    = `{"flow-direction":"egress","protocol":"tcp","network":"0.0.0.0/0"}`
		closes = "the group's first egress rule: its instances now send only what an egress rule of one of their groups admits"
		opens  = "the group's last egress rule is gone: its instances now send anything, unless another of their groups has an egress rule"
	)
	tests := []struct {
		name         string
		before       []gabion.Rule
		method, path string
		warning      string
	}{
		{"first egress rule", []gabion.Rule{ssh}, "POST", "/rules", closes},
		{"second egress rule", []gabion.Rule{ssh, out}, "POST", "/rules", ""},
		{"last egress rule", []gabion.Rule{ssh, out}, "DELETE", "/rules/" + out.ID, opens},
		{"ingress rule beside it", []gabion.Rule{ssh, out}, "DELETE", "/rules/" + ssh.ID, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stored gabion.Operation
			store := &fakeStore{
				groupRules: func() ([]gabion.Rule, error) { return tt.before, nil },
				addRules:   func([]gabion.Rule) (gabion.Operation, error) { return made(), nil },
				deleteRule: func() (gabion.Operation, error) { return made(), nil },
				finish:     func(op gabion.Operation) error { stored = op; return nil },
			}
			body := ""
			if tt.method == "POST" {
				body = add
			}
			a := ask(t, newHandler(t, store), tt.method, "/security-group/"+id+tt.path, body)
			if a.status != 200 || a.message != tt.warning || stored.Message != tt.warning {
				t.Errorf("got %+v, stored %q, want %q", a, stored.Message, tt.warning)
			}
			if tt.warning == "" {
				return
			}
			a = ask(t, newHandler(t, store, "hv1"), tt.method, "/security-group/"+id+tt.path, body)
			if diff := cmp.Diff(tt.warning+"; waiting for host hv1 to enforce it", a.message); diff != "" {
				t.Errorf("while pending (-want +got):\n%s", diff)
			}
			if stored.Message != tt.warning || stored.State != gabion.OperationPending {
				t.Errorf("while pending, %s %q is stored", stored.State, stored.Message)
			}
		})
	}
}
