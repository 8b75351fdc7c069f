package api_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// listed are the names in a page of summaries, and how many there are in all.
func (r *running) listed(t *testing.T, route, list string) (names []string, total int) {
	t.Helper()
	a := r.say(t, "GET", route, "")
	if a.status != http.StatusOK {
		t.Fatalf("GET %s: got %d %s", route, a.status, a.text)
	}
	for _, object := range a.body[list].([]any) {
		names = append(names, object.(map[string]any)["name"].(string))
	}
	return names, int(a.body["total"].(float64))
}

func TestGroupsAreSummedUpPageByPage(t *testing.T) {
	r := start(t)
	for _, name := range []string{"web", "Cache", "app"} {
		r.say(t, "POST", "/security-group", fmt.Sprintf(`{"name":%q,"description":"role %s"}`, name, name))
	}
	for query, want := range map[string][]string{
		"":                  {"app", "Cache", "default", "web"},
		"?limit=2":          {"app", "Cache"},
		"?limit=2&offset=3": {"web"},
		"?offset=9":         nil,
		"?search=ROLE":      {"app", "Cache", "web"},
		"?search=cAChe":     {"Cache"},
		"?search=nobody":    nil,
	} {
		names, _ := r.listed(t, "/security-group-summary"+query, "security-groups")
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
	}
	if _, total := r.listed(t, "/security-group-summary?limit=1&search=role", "security-groups"); total != 3 {
		t.Errorf("a page of one says that there are %d, want 3", total)
	}
	for _, query := range []string{"?limit=0", "?limit=1001", "?offset=-1"} {
		if a := r.say(t, "GET", "/security-group-summary"+query, ""); a.status != http.StatusBadRequest {
			t.Errorf("%s: got %d %s", query, a.status, a.text)
		}
	}
}

func TestSummariesCountWhoStandsBehindAGroup(t *testing.T) {
	r := start(t)
	web, app := r.createGroup(t, "web"), r.createGroup(t, "app")
	for _, group := range []string{web, app} {
		for _, port := range []int{80, 443} {
			r.say(t, "POST", "/security-group/"+group+"/rules", fmt.Sprintf(
				`{"flow-direction":"ingress","protocol":"tcp","start-port":%d,"end-port":%d,"security-group":{"id":%q}}`, port, port, web))
		}
	}
	r.say(t, "POST", "/instance", fmt.Sprintf(`{"name":"web1","security-groups":[{"id":%q}]}`, web))
	a := r.say(t, "GET", "/security-group-summary?search="+web, "")
	got := a.body["security-groups"].([]any)[0]
	want := map[string]any{
		"id": web, "name": "web", "description": "", "rules": 2.0, "members": 1.0, "used-by": 1.0,
		"primary": false, "default": false, "hits-last-hour": 0.0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestInstancesAreSummedUpPageByPage(t *testing.T) {
	r := start(t)
	web := r.createGroup(t, "web")
	for _, name := range []string{"next", "mail", "origin"} {
		r.say(t, "POST", "/instance", fmt.Sprintf(`{"name":%q}`, name))
	}
	r.say(t, "POST", "/instance", fmt.Sprintf(`{"name":"web1","security-groups":[{"id":%q}]}`, web))
	for query, want := range map[string][]string{
		"":                                   {"mail", "next", "origin", "web1"},
		"?limit=1&offset=1":                  {"next"},
		"?search=WEB":                        {"web1"},
		"?security-group=" + web:             {"web1"},
		"?search=mail&security-group=" + web: nil,
	} {
		names, _ := r.listed(t, "/instance-summary"+query, "instances")
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
	}
}
