package api_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// belongings are ids of what one organization has, by the names of the contract's
// path parameters and for bodies.
type belongings struct{ group, rule, instance, operation, organization, key string }

func (r *running) belongings(t *testing.T, organization string) belongings {
	t.Helper()
	b := belongings{organization: organization, key: r.env["EXOSCALE_API_KEY"]}
	a := r.say(t, "POST", "/security-group", `{"name":"web"}`)
	b.operation = a.body["id"].(string)
	b.group = a.body["reference"].(map[string]any)["id"].(string)
	r.reference(t, "POST", "/security-group/"+b.group+"/rules", ingress(`"protocol":"tcp","network":"192.0.2.0/24","start-port":22,"end-port":22`))
	b.rule = r.onlyRule(t, "/security-group/"+b.group)
	b.instance = r.reference(t, "POST", "/instance", `{"name":"i1","security-groups":[{"id":"`+b.group+`"}]}`)
	return b
}

// gone is what nobody has.
var gone = belongings{
	group: "00000000-0000-4000-8000-000000000001", rule: "00000000-0000-4000-8000-000000000002", instance: "00000000-0000-4000-8000-000000000003",
	operation: "00000000-0000-4000-8000-000000000004", organization: "00000000-0000-4000-8000-000000000005", key: "EXO000000000000000000000006",
}

// in puts the ids into a path of the contract.
func (b belongings) in(path string) string {
	id := b.group
	switch {
	case strings.HasPrefix(path, "/instance/"), strings.HasPrefix(path, "/reverse-dns/"):
		id = b.instance
	case strings.HasPrefix(path, "/operation/"):
		id = b.operation
	case strings.HasPrefix(path, "/organization/"):
		id = b.organization
	}
	return strings.NewReplacer("{id}", id, "{rule-id}", b.rule, "{key}", b.key, "{name}", "hv1").Replace(path)
}

// bodies make sense, so that it is the id that is refused. Operations that are not
// here have no body.
var bodies = map[string]string{
	"update-security-group":                      `{"name":"mine"}`,
	"add-rule-to-security-group":                 ingress(`"protocol":"ah","network":"0.0.0.0/0"`),
	"replace-rules-of-security-group":            `{"rules":[]}`,
	"add-rules-to-security-group":                `{"rules":[` + ingress(`"protocol":"ah","network":"0.0.0.0/0"`) + `]}`,
	"add-external-source-to-security-group":      `{"cidr":"192.0.2.0/24"}`,
	"remove-external-source-from-security-group": `{"cidr":"192.0.2.0/24"}`,
	"update-instance":                            `{"name":"mine"}`,
	"rotate-api-key":                             `{}`,
	"update-organization":                        `{"name":"mine"}`,
	"create-organization-api-key":                `{"name":"k","scopes":["admin"]}`,
}

// TestForeignIDsAreNotFound asks for what another organization has, on every route
// and with every method that there is: the answer is that for what nobody has.
func TestForeignIDsAreNotFound(t *testing.T) {
	r := start(t)
	organization, owner := r.newOrganization(t, "owner")
	theirs := owner.belongings(t, organization)
	_, stranger := r.newOrganization(t, "stranger")
	own := stranger.belongings(t, "")
	before := owner.everythingOwn(t)

	asked := 0
	for _, o := range operations(t) {
		if !strings.Contains(o.Path, "{") || strings.Contains(o.Path, "{name}") || alike[o.OperationID] {
			continue
		}
		body := bodies[o.OperationID]
		if strings.HasSuffix(o.Path, ":attach") || strings.HasSuffix(o.Path, ":detach") {
			body = `{"instance":{"id":"` + own.instance + `"}}`
		}
		asked++
		foreign, none := stranger.say(t, o.Method, theirs.in(o.Path), body), stranger.say(t, o.Method, gone.in(o.Path), body)
		want := http.StatusNotFound
		if strings.HasPrefix(o.Path, "/organization/") && o.Method != http.MethodGet {
			want = http.StatusForbidden // an operator's
		}
		if foreign.status != want || none.status != want || anonymous(foreign.text, theirs) != anonymous(none.text, gone) {
			t.Errorf("%s: got %d %s for another's, %d %s for nobody's, want %d and the same", o.OperationID, foreign.status, foreign.text, none.status, none.text, want)
		}
	}
	if asked < 30 {
		t.Errorf("only %d operations were asked for", asked)
	}
	if after := owner.everythingOwn(t); after != before {
		t.Errorf("something of the owner's changed:\n%s\n%s", before, after)
	}
}

// anyUse is when a key was used: that somebody looks is no change.
var anyUse = regexp.MustCompile(`,"last-used-at":"[^"]*"`)

// alike are operations that answer all ids alike.
var alike = map[string]bool{"get-instance-type": true, "get-template": true, "delete-reverse-dns-instance": true}

// anonymous is the text without the ids that were asked for.
func anonymous(text string, b belongings) string {
	return strings.NewReplacer(b.group, "ID", b.rule, "ID", b.instance, "ID", b.operation, "ID", b.organization, "ID", b.key, "KEY").Replace(text)
}

// TestForeignIDsInsideRequests names what another organization has in bodies and queries.
func TestForeignIDsInsideRequests(t *testing.T) {
	r := start(t)
	organization, owner := r.newOrganization(t, "owner")
	theirs := owner.belongings(t, organization)
	_, stranger := r.newOrganization(t, "stranger")
	own := stranger.belongings(t, "")
	for _, request := range [][3]string{
		{"POST", "/security-group/" + own.group + "/rules", ingress(`"protocol":"tcp","security-group":{"id":"{group}"}`)},
		{"POST", "/security-group/" + own.group + "/rules:batch", `{"rules":[` + ingress(`"protocol":"tcp","security-group":{"id":"{group}"}`) + `]}`},
		{"PUT", "/security-group/" + own.group + "/rules", `{"rules":[` + ingress(`"protocol":"tcp","security-group":{"id":"{group}"}`) + `]}`},
		{"PUT", "/security-group/" + own.group + ":attach", `{"instance":{"id":"{instance}"}}`},
		{"PUT", "/security-group/" + own.group + ":detach", `{"instance":{"id":"{instance}"}}`},
		{"PUT", "/security-group/{group}:attach", `{"instance":{"id":"` + own.instance + `"}}`},
		{"POST", "/instance", `{"name":"i2","security-groups":[{"id":"{group}"}]}`},
		{"DELETE", "/security-group/" + own.group + "/rules/{rule}", ``},
		{"GET", "/flow?instance={instance}", ``},
		{"POST", "/explain", `{"from":"{instance}","to":"192.0.2.1","protocol":"tcp","port":1}`},
	} {
		ask := func(b belongings) answer {
			named := strings.NewReplacer("{group}", b.group, "{rule}", b.rule, "{instance}", b.instance)
			return stranger.say(t, request[0], named.Replace(request[1]), named.Replace(request[2]))
		}
		foreign, none := ask(theirs), ask(gone)
		if foreign.status != http.StatusNotFound || none.status != http.StatusNotFound || anonymous(foreign.text, theirs) != anonymous(none.text, gone) {
			t.Errorf("%s: got %d %s for another's, %d %s for nobody's", request, foreign.status, foreign.text, none.status, none.text)
		}
	}
	for _, route := range []string{"/rule-hit?security-group=", "/instance-summary?security-group="} {
		foreign, none := stranger.say(t, "GET", route+theirs.group, ""), stranger.say(t, "GET", route+gone.group, "")
		if foreign.status != none.status || anonymous(foreign.text, theirs) != anonymous(none.text, gone) {
			t.Errorf("%s: got %d %s for another's, %d %s for nobody's", route, foreign.status, foreign.text, none.status, none.text)
		}
	}
	for _, list := range []string{"/security-group", "/security-group-summary", "/instance-summary", "/rule-hit", "/receipt", "/instance", "/api-key", "/audit", "/organization"} {
		if a := stranger.say(t, "GET", list, ""); a.status != http.StatusOK || anonymous(a.text, theirs) != a.text {
			t.Errorf("GET %s: got %d %s, which tells of another organization", list, a.status, a.text)
		}
	}
	// A name that another organization has is free.
	stranger.createGroup(t, "theirs")
	owner.createGroup(t, "theirs")
}

// everythingOwn is what the caller's organization has, as text.
func (r *running) everythingOwn(t *testing.T) string {
	t.Helper()
	text := ""
	for _, list := range []string{"/security-group", "/instance", "/api-key", "/organization"} {
		text += anyUse.ReplaceAllString(r.say(t, "GET", list, "").text, "")
	}
	return text
}
