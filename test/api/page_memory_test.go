package api_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// stored is what pages are held against: the public lists, which are read from the store.
type stored struct{ groups, instances []map[string]any }

func (r *running) stored(t *testing.T) stored {
	t.Helper()
	return stored{
		r.objects(t, "/security-group", "security-groups"),
		r.objects(t, "/instance", "instances"),
	}
}

func (r *running) objects(t *testing.T, route, list string) (objects []map[string]any) {
	t.Helper()
	a := r.say(t, "GET", route, "")
	if a.status != http.StatusOK {
		t.Fatalf("GET %s: got %d %s", route, a.status, a.text)
	}
	for _, o := range a.body[list].([]any) {
		objects = append(objects, o.(map[string]any))
	}
	return objects
}

// ids are those of a list of objects, at a field of each if one is given.
func ids(list any) (all []string) {
	objects, _ := list.([]any)
	for _, o := range objects {
		all = append(all, o.(map[string]any)["id"].(string))
	}
	return all
}

// summary is what a page has to say of a group.
func (s stored) summary(g map[string]any) map[string]any {
	rules, _ := g["rules"].([]any)
	members, users := 0, map[any]bool{}
	for _, i := range s.instances {
		if slices.Contains(ids(i["security-groups"]), g["id"].(string)) {
			members++
		}
	}
	for _, other := range s.groups {
		others, _ := other["rules"].([]any)
		for _, rule := range others {
			if peer, ok := rule.(map[string]any)["security-group"].(map[string]any); ok && peer["id"] == g["id"] && other["id"] != g["id"] {
				users[other["id"]] = true
			}
		}
	}
	description, _ := g["description"].(string)
	primary, _ := g["primary"].(bool)
	return map[string]any{
		"id": g["id"], "name": g["name"], "description": description, "primary": primary, "default": g["name"] == "default",
		"rules": float64(len(rules)), "members": float64(members), "used-by": float64(len(users)), "hits-last-hour": 0.0,
	}
}

// expect is the pages' order of those that have the text somewhere.
func expect(objects []map[string]any, search string, fields ...string) (found []map[string]any) {
	for _, o := range objects {
		if slices.ContainsFunc(fields, func(f string) bool {
			text, _ := o[f].(string)
			return strings.Contains(strings.ToLower(text), strings.ToLower(search))
		}) {
			found = append(found, o)
		}
	}
	slices.SortFunc(found, func(a, b map[string]any) int {
		key := func(o map[string]any) string {
			name := o["name"].(string)
			return strings.ToLower(name) + "\x00" + name + "\x00" + o["id"].(string)
		}
		return strings.Compare(key(a), key(b))
	})
	return found
}

// change does something; what of it is refused changes nothing.
func (r *running) change(t *testing.T, s stored, n int) {
	t.Helper()
	any := func(objects []map[string]any) string { return objects[rand.N(len(objects))]["id"].(string) }
	group := any(s.groups)
	switch rand.N(8) {
	case 0, 1:
		r.say(t, "POST", "/security-group", fmt.Sprintf(`{"name":"%s %d","description":"Group %d"}`, []string{"web", "Web", "äpfel"}[n%3], n, n))
	case 2:
		r.say(t, "PUT", "/security-group/"+group, fmt.Sprintf(`{"description":"now %d"}`, n))
	case 3:
		r.say(t, "POST", "/security-group/"+group+"/rules", fmt.Sprintf(
			`{"flow-direction":"ingress","protocol":"tcp","start-port":%d,"end-port":%d,"security-group":{"id":%q}}`, n+1, n+1, any(s.groups)))
	case 4, 5:
		r.say(t, "POST", "/instance", fmt.Sprintf(`{"name":%q,"security-groups":[{"id":%q}]}`, []string{"vm", "VM", "vm1"}[n%3], group))
	case 6:
		if len(s.instances) > 0 {
			r.say(t, "PUT", "/security-group/"+group+":attach", fmt.Sprintf(`{"instance":{"id":%q}}`, any(s.instances)))
			r.say(t, "PUT", "/instance/"+any(s.instances)+":start", "")
		}
	case 7:
		r.say(t, "DELETE", "/security-group/"+group, "")
		if len(s.instances) > 3 {
			r.say(t, "DELETE", "/instance/"+any(s.instances), "")
		}
	}
}

// TestPagesAreWhatTheStoreHas makes changes and holds after each, at once, that the
// pages, which come out of the server's memory, say what the store says.
func TestPagesAreWhatTheStoreHas(t *testing.T) {
	r, largest := start(t), 0
	for n := range 60 {
		r.change(t, r.stored(t), n)
		search := []string{"", "web", "GROUP", "vm", "1", "nobody"}[n%6]
		limit := 1 + rand.N(5)
		groups := r.pages(t, "/security-group-summary", "security-groups", search, limit)
		instances := r.pages(t, "/instance-summary", "instances", search, limit)
		s := r.stored(t)
		largest = max(largest, len(s.groups)*len(s.instances))
		var want []map[string]any
		for _, g := range expect(s.groups, search, "name", "description", "id") {
			want = append(want, s.summary(g))
		}
		if diff := cmp.Diff(want, groups); diff != "" {
			t.Fatalf("groups with %q (-stored +page):\n%s", search, diff)
		}
		if diff := cmp.Diff(expect(s.instances, search, "name", "id"), instances); diff != "" {
			t.Fatalf("instances with %q (-stored +page):\n%s", search, diff)
		}
	}
	if largest < 9 {
		t.Error("there was next to nothing to show")
	}
}

// pages reads a list a page at a time.
func (r *running) pages(t *testing.T, route, list, search string, limit int) (all []map[string]any) {
	t.Helper()
	for {
		query := fmt.Sprintf("%s?limit=%d&offset=%d&search=%s", route, limit, len(all), url.QueryEscape(search))
		page := r.objects(t, query, list)
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
	}
}
