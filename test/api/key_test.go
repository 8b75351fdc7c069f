package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestKeysBeginAndEnd(t *testing.T) {
	r := start(t)
	a := r.say(t, "POST", "/api-key", `{"name":"ci","scopes":["rules"]}`)
	if a.status != http.StatusOK || a.body["secret"] == "" || a.body["operator"] != false {
		t.Fatalf("got %d %s", a.status, a.text)
	}
	secret, id := a.body["secret"].(string), a.body["key"].(string)
	key := r.as(keyPair{id, secret})
	if a := key.say(t, "POST", "/security-group", `{"name":"web"}`); a.status != http.StatusOK {
		t.Errorf("the new key: got %d %s", a.status, a.text)
	}
	for _, route := range []string{"/api-key", "/api-key/" + id} {
		if a := r.say(t, "GET", route, ""); a.status != 200 || !strings.Contains(a.text, id) || strings.Contains(a.text, secret) {
			t.Errorf("GET %s: got %d %s, want the key without its secret", route, a.status, a.text)
		}
	}
	if a := r.say(t, "DELETE", "/api-key/"+id, ""); a.status != http.StatusOK {
		t.Fatalf("got %d %s", a.status, a.text)
	}
	if a := key.say(t, "GET", "/security-group", ""); a.status != http.StatusForbidden {
		t.Errorf("the deleted key: got %d %s", a.status, a.text)
	}
	if a := r.say(t, "DELETE", "/api-key/"+r.env["EXOSCALE_API_KEY"], ""); a.status != http.StatusConflict {
		t.Errorf("deleting the last operator's key: got %d %s", a.status, a.text)
	}
}

func TestKeyIsRotated(t *testing.T) {
	r := start(t)
	old := r.newKey(t, "/api-key", `{"name":"ci","scopes":["read"]}`)
	next := r.as(r.newKeyBy(t, "PUT", "/api-key/"+old.key+":rotate", `{"overlap-seconds":3600}`))
	for name, key := range map[string]*running{"old": r.as(old), "new": next} {
		if a := key.say(t, "GET", "/security-group", ""); a.status != http.StatusOK {
			t.Errorf("the %s key: got %d %s", name, a.status, a.text)
		}
	}
	if a := next.say(t, "POST", "/security-group", `{"name":"web"}`); a.status != http.StatusForbidden {
		t.Errorf("the new key may do more: got %d %s", a.status, a.text)
	}
	second := r.newKey(t, "/api-key", `{"name":"ci","scopes":["read"]}`)
	r.newKeyBy(t, "PUT", "/api-key/"+second.key+":rotate", `{"overlap-seconds":0}`)
	a := r.as(second).say(t, "GET", "/security-group", "")
	if a.status != http.StatusForbidden || !strings.Contains(a.message(), "expired") {
		t.Errorf("a key without overlap: got %d %s", a.status, a.text)
	}
	a = r.as(keyPair{second.key, "guessed"}).say(t, "GET", "/security-group", "")
	if a.status != http.StatusForbidden || strings.Contains(a.message(), "expired") {
		t.Errorf("who does not know the secret hears that the key has expired: got %d %s", a.status, a.text)
	}
}

// newKeyBy makes a key with another method.
func (r *running) newKeyBy(t *testing.T, method, route, body string) keyPair {
	t.Helper()
	a := r.say(t, method, route, body)
	if a.status != http.StatusOK {
		t.Fatalf("%s %s was answered %d %s", method, route, a.status, a.text)
	}
	return keyPair{a.body["key"].(string), a.body["secret"].(string)}
}

// TestNoKeyMakesMoreThanItself: each of these would give a key more than its maker has.
func TestNoKeyMakesMoreThanItself(t *testing.T) {
	r := start(t)
	ends := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	org, tenant := r.newOrganization(t, "tenant")
	admin := r.as(r.newKey(t, "/api-key", `{"name":"admin","scopes":["admin"]}`))
	ending := r.as(r.newKey(t, "/api-key", fmt.Sprintf(`{"name":"ending","scopes":["admin"],"expires-at":%q}`, ends)))
	rules := r.as(r.newKey(t, "/api-key", `{"name":"rules","scopes":["rules"]}`))
	operator := r.env["EXOSCALE_API_KEY"]
	tests := []struct {
		name         string
		by           *running
		method, path string
		body         string
	}{
		{"a key without admin", rules, "POST", "/api-key", `{"name":"k","scopes":["rules"]}`},
		{"an operator's key by an admin", admin, "POST", "/api-key", `{"name":"k","scopes":["admin"],"operator":true}`},
		{"an operator's key by an organization", tenant, "POST", "/api-key", `{"name":"k","scopes":["read"],"operator":true}`},
		{"a key of another organization", admin, "POST", "/organization/" + org + "/api-key", `{"name":"k","scopes":["read"]}`},
		{"an operator's successor", admin, "PUT", "/api-key/" + operator + ":rotate", `{}`},
		{"an operator's end", admin, "DELETE", "/api-key/" + operator, ``},
		{"a key that does not end", ending, "POST", "/api-key", `{"name":"k","scopes":["read"]}`},
		{"a successor of one that does not end", ending, "PUT", "/api-key/" + admin.env["EXOSCALE_API_KEY"] + ":rotate", `{}`},
	}
	for _, tt := range tests {
		if a := tt.by.say(t, tt.method, tt.path, tt.body); a.status != http.StatusForbidden || a.message() == "" {
			t.Errorf("%s: got %d %s, want 403", tt.name, a.status, a.text)
		}
	}
	// Who may, can.
	ending.newKey(t, "/api-key", fmt.Sprintf(`{"name":"k","scopes":["admin"],"expires-at":%q}`, ends))
	r.newKey(t, "/api-key", `{"name":"k","scopes":["admin"],"operator":true}`)
	tenant.newKey(t, "/api-key", `{"name":"k","scopes":["admin"]}`)
}

func TestUseOfAKeyIsSeen(t *testing.T) {
	r := start(t)
	pair := r.newKey(t, "/api-key", `{"name":"ci","scopes":["read"]}`)
	if a := r.say(t, "GET", "/api-key/"+pair.key, ""); a.body["last-used-at"] != nil {
		t.Errorf("a key that was never used: got %s", a.text)
	}
	r.as(pair).say(t, "GET", "/security-group", "")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		a := r.say(t, "GET", "/api-key/"+pair.key, "")
		if used, _ := a.body["last-used-at"].(string); used != "" {
			if !strings.HasSuffix(used, ":00Z") {
				t.Errorf("it was used at %s, want the minute", used)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still not used: %s", a.text)
		}
	}
}
