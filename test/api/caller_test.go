package api_test

import (
	"net/http"
	"testing"

	"github.com/gabion/gabion/test/contract"
)

// keyPair is an API key as its owner has it.
type keyPair struct{ key, secret string }

// newKey makes a key.
func (r *running) newKey(t *testing.T, route, body string) keyPair {
	t.Helper()
	a := r.say(t, "POST", route, body)
	if a.status != http.StatusOK {
		t.Fatalf("POST %s %s was answered %d %s", route, body, a.status, a.text)
	}
	return keyPair{a.body["key"].(string), a.body["secret"].(string)}
}

// as is the same server, asked with another key.
func (r *running) as(k keyPair) *running {
	other := *r
	other.env = map[string]string{"EXOSCALE_API_KEY": k.key, "EXOSCALE_API_SECRET": k.secret}
	return &other
}

// newOrganization makes an organization, and returns its id and an admin's key.
func (r *running) newOrganization(t *testing.T, name string) (id string, admin *running) {
	t.Helper()
	id = r.reference(t, "POST", "/organization", `{"name":"`+name+`","hosts":["*"]}`)
	return id, r.as(r.newKey(t, "/organization/"+id+"/api-key", `{"name":"admin","scopes":["admin"]}`))
}

// operations are those of the contract.
func operations(t *testing.T) []contract.Operation {
	t.Helper()
	all, err := contract.Operations()
	if err != nil {
		t.Fatal(err)
	}
	return all
}
