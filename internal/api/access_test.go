package api

import (
	"maps"
	"slices"
	"testing"

	"github.com/gabion/gabion"
)

// TestEveryOperationSaysWhatItNeeds walks the contract: what is not in the table
// is nobody's, so that a forgotten route is closed, and is found here.
func TestEveryOperationSaysWhatItNeeds(t *testing.T) {
	ids := slices.Sorted(maps.Values(operationIDs()))
	if len(ids) < 60 {
		t.Fatalf("the contract has %d operations, want all of them", len(ids))
	}
	for _, id := range ids {
		if _, ok := needs[id]; !ok {
			t.Errorf("nothing says what %s needs", id)
		}
	}
	for id := range needs {
		if !slices.Contains(ids, id) {
			t.Errorf("the contract has no operation %s", id)
		}
	}
}

func TestPermit(t *testing.T) {
	key := func(operator bool, scopes ...gabion.Scope) *caller {
		return &caller{Key: gabion.Key{ID: "EXO1", Operator: operator, Scopes: scopes}}
	}
	tests := []struct {
		name      string
		caller    *caller
		operation string
		allowed   bool
	}{
		{"nobody at a public operation", nil, "list-zones", true},
		{"nobody at another", nil, "list-security-groups", false},
		{"an admin at none of the contract's", key(true, gabion.ScopeAdmin), "drop-all", false},
		{"an admin at no operation", key(true, gabion.ScopeAdmin), "", false},
		{"a key without scopes", key(false), "list-security-groups", false},
		{"an operator's key without scopes", key(true), "list-hosts", false},
		{"a reader who reads", key(false, gabion.ScopeRead), "list-security-groups", true},
		{"a reader who writes", key(false, gabion.ScopeRead), "create-security-group", false},
		{"rules, reading", key(false, gabion.ScopeRules), "list-instances", true},
		{"rules, instances", key(false, gabion.ScopeRules), "create-instance", false},
		{"rules, memberships", key(false, gabion.ScopeRules), "attach-instance-to-security-group", false},
		{"instances, memberships", key(false, gabion.ScopeInstances), "attach-instance-to-security-group", true},
		{"rules and instances, keys", key(false, gabion.ScopeRules, gabion.ScopeInstances), "list-api-keys", false},
		{"an admin, keys", key(false, gabion.ScopeAdmin), "list-api-keys", true},
		{"an admin, hosts", key(false, gabion.ScopeAdmin), "list-hosts", false},
		{"an operator who reads, hosts", key(true, gabion.ScopeRead), "list-hosts", true},
		{"an operator who reads, tokens", key(true, gabion.ScopeRead), "create-host-token", false},
		{"an operator, tokens", key(true, gabion.ScopeAdmin), "create-host-token", true},
	}
	for _, tt := range tests {
		if err := permit(tt.caller, tt.operation); (err == nil) != tt.allowed {
			t.Errorf("%s: got %v, want allowed %v", tt.name, err, tt.allowed)
		}
	}
}
