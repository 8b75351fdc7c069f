package gabion_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gabion/gabion"
)

func TestOrganizationMayUse(t *testing.T) {
	tests := []struct {
		hosts []string
		host  string
		want  bool
	}{
		{nil, "hv1", false},
		{[]string{"hv1"}, "hv1", true},
		{[]string{"hv1"}, "hv2", false},
		{[]string{gabion.AnyHost}, "hv2", true},
	}
	for _, tt := range tests {
		if got := (gabion.Organization{Hosts: tt.hosts}).MayUse(tt.host); got != tt.want {
			t.Errorf("%v may use %s: %t", tt.hosts, tt.host, got)
		}
	}
}

func TestOrganizationValidate(t *testing.T) {
	valid := func() gabion.Organization {
		return gabion.Organization{Name: "acme", Quotas: gabion.DefaultQuotas(), Hosts: []string{"hv1", gabion.AnyHost}}
	}
	tests := []struct {
		field  string // of the refusal; none if empty
		change func(*gabion.Organization)
	}{
		{"", func(*gabion.Organization) {}},
		{"", func(o *gabion.Organization) { o.Quotas.Instances = 0 }},
		{"name", func(o *gabion.Organization) { o.Name = "" }},
		{"hosts[1]", func(o *gabion.Organization) { o.Hosts = []string{"hv1", "hv1"} }},
		{"hosts[0]", func(o *gabion.Organization) { o.Hosts = []string{"a/b"} }},
		{"quotas.security-groups", func(o *gabion.Organization) { o.Quotas.Groups = 0 }},
		{"quotas.rules-per-security-group", func(o *gabion.Organization) { o.Quotas.RulesPerGroup = 100_001 }},
		{"quotas.security-groups-per-instance", func(o *gabion.Organization) { o.Quotas.GroupsPerInstance = gabion.MaxGroupsPerInstance + 1 }},
		{"quotas.instances", func(o *gabion.Organization) { o.Quotas.Instances = -1 }},
		{"quotas.api-keys", func(o *gabion.Organization) { o.Quotas.Keys = 0 }},
	}
	for _, tt := range tests {
		o := valid()
		tt.change(&o)
		wantField(t, o.Validate(), tt.field)
	}
}

func TestKeyValidate(t *testing.T) {
	tests := []struct {
		field string
		key   gabion.Key
	}{
		{"", gabion.Key{Name: "k", Scopes: []gabion.Scope{gabion.ScopeRead, gabion.ScopeRules}}},
		{"name", gabion.Key{Scopes: []gabion.Scope{gabion.ScopeRead}}},
		{"scopes", gabion.Key{Name: "k"}},
		{"scopes", gabion.Key{Name: "k", Scopes: []gabion.Scope{"all"}}},
		{"scopes", gabion.Key{Name: "k", Scopes: []gabion.Scope{gabion.ScopeRead, gabion.ScopeRead}}},
	}
	for _, tt := range tests {
		wantField(t, tt.key.Validate(), tt.field)
	}
}

func TestKeyAllowsAndExpires(t *testing.T) {
	key := func(scopes ...gabion.Scope) gabion.Key { return gabion.Key{Scopes: scopes} }
	tests := []struct {
		key   gabion.Key
		scope gabion.Scope
		want  bool
	}{
		{key(), gabion.ScopeRead, false},
		{key(gabion.ScopeRules), gabion.ScopeRead, true},
		{key(gabion.ScopeRules), gabion.ScopeInstances, false},
		{key(gabion.ScopeRules), gabion.ScopeAdmin, false},
		{key(gabion.ScopeAdmin), gabion.ScopeInstances, true},
	}
	for _, tt := range tests {
		if got := tt.key.Allows(tt.scope); got != tt.want {
			t.Errorf("%v allows %s: %t", tt.key.Scopes, tt.scope, got)
		}
	}
	at := time.Now()
	if (gabion.Key{}).Expired(at) || !(gabion.Key{Expires: at}).Expired(at) || (gabion.Key{Expires: at.Add(1)}).Expired(at) {
		t.Error("a key expires at its end, and one without never")
	}
}

// wantField checks that an error is about the field; that there is none, if that is empty.
func wantField(t *testing.T, err error, field string) {
	t.Helper()
	var refusal *gabion.Error
	switch {
	case field == "" && err != nil:
		t.Errorf("got %v", err)
	case field != "" && (!errors.As(err, &refusal) || refusal.Field != field):
		t.Errorf("got %v, want a refusal of %s", err, field)
	}
}
