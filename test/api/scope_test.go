package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/gabion/gabion/test/contract"
)

// who is a kind of key.
type who struct {
	name     string
	scopes   string // JSON
	operator bool
}

var everybody = []who{
	{"reader", `["read"]`, false},
	{"rules", `["rules"]`, false},
	{"instances", `["instances"]`, false},
	{"rules and instances", `["rules","instances"]`, false},
	{"admin", `["admin"]`, false},
	{"operator who reads", `["read"]`, true},
	{"operator", `["admin"]`, true},
}

// may tells whether a key of that kind may ask for the operation: what the contract
// says of scopes, written once more and otherwise than in the server.
func (w who) may(o contract.Operation) bool {
	changes := o.Method != http.MethodGet && o.OperationID != "explain-connection" && !slices.Contains(o.Tags, "session")
	has := func(scope string) bool {
		return strings.Contains(w.scopes, `"`+scope+`"`) || strings.Contains(w.scopes, "admin")
	}
	switch {
	case o.Path == "/api-key" || strings.HasPrefix(o.Path, "/api-key/") || o.Path == "/audit":
		return has("admin")
	case slices.Contains(o.Tags, "host"), strings.HasPrefix(o.Path, "/organization") && changes:
		return w.operator && (!changes || has("admin"))
	case !changes:
		return true
	case slices.Contains(o.Tags, "instance"), strings.HasSuffix(o.Path, ":attach"), strings.HasSuffix(o.Path, ":detach"):
		return has("instances")
	}
	return slices.Contains(o.Tags, "security-group") && has("rules")
}

// TestScopes asks for every operation with every kind of key. What is asked for
// makes no sense, so that who may ask changes nothing either.
func TestScopes(t *testing.T) {
	r := start(t)
	asked := 0
	for _, w := range everybody {
		operator := ""
		if w.operator {
			operator = `,"operator":true`
		}
		key := r.as(r.newKey(t, "/api-key", `{"name":"`+w.name+`","scopes":`+w.scopes+operator+`}`))
		for _, o := range operations(t) {
			if isPublic(o) {
				continue
			}
			asked++
			a := key.senseless(t, o)
			if denied := a.status == http.StatusForbidden; denied == w.may(o) {
				t.Errorf("%s asks for %s: got %d %s, want allowed %v", w.name, o.OperationID, a.status, a.text, w.may(o))
			}
			if a.status == http.StatusOK && o.Method != http.MethodGet && o.OperationID != "delete-ssh-key" && o.OperationID != "delete-reverse-dns-instance" {
				t.Errorf("%s asks for %s: it was done: %s", w.name, o.OperationID, a.text)
			}
		}
	}
	t.Logf("%d questions", asked)
}

// isPublic tells whether the contract lets everybody ask.
func isPublic(o contract.Operation) bool {
	return o.Security != nil && slices.ContainsFunc(*o.Security, func(one openapi3.SecurityRequirement) bool { return len(one) == 0 })
}

// senseless asks for the operation about nothing that there is.
func (r *running) senseless(t *testing.T, o contract.Operation) answer {
	t.Helper()
	body := ""
	if o.Body() != nil {
		body = "{}"
	}
	query := ""
	if o.OperationID == "stream-flows" {
		query = "?verdict=none" // else the answer has no end
	}
	return r.say(t, o.Method, nowhere.Replace(o.Path)+query, body)
}

var nowhere = strings.NewReplacer(
	"{id}", "00000000-0000-4000-8000-000000000000", "{rule-id}", "00000000-0000-4000-8000-000000000000",
	"{name}", "nobody", "{key}", "EXO000000000000000000000000",
)

// TestNothingWithoutCredentials asks for every operation without any.
func TestNothingWithoutCredentials(t *testing.T) {
	r := start(t)
	for _, o := range operations(t) {
		want := http.StatusForbidden
		switch {
		case o.OperationID == "create-session":
			want = http.StatusBadRequest // it has no body
		case isPublic(o):
			want = http.StatusOK
		}
		if a := r.send(t, r.request(t, o.Method, nowhere.Replace(o.Path), "")); a.status != want {
			t.Errorf("%s: got %d %s, want %d", o.OperationID, a.status, a.text, want)
		}
	}
}
