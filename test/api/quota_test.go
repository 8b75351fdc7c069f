package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestQuotasHoldUnderConcurrentCreates(t *testing.T) {
	r := start(t)
	organization, tenant := r.newOrganization(t, "tenant")
	a := r.say(t, "PUT", "/organization/"+organization, `{"quotas":{"security-groups":20,"api-keys":5}}`)
	if a.status != http.StatusOK {
		t.Fatalf("got %d %s", a.status, a.text)
	}
	var made, refused atomic.Int32
	var group sync.WaitGroup
	for i := range 200 {
		group.Go(func() {
			switch a := tenant.say(t, "POST", "/security-group", fmt.Sprintf(`{"name":"g%d"}`, i)); {
			case a.status == http.StatusOK:
				made.Add(1)
			case a.status == http.StatusForbidden && strings.Contains(a.message(), "20 of 20 security groups"):
				refused.Add(1)
			default:
				t.Errorf("got %d %s", a.status, a.text)
			}
		})
	}
	group.Wait()
	if made.Load() != 19 || refused.Load() != 181 { // one is the default group
		t.Errorf("%d groups were made and %d refused, want 19 and 181", made.Load(), refused.Load())
	}
	if a := tenant.say(t, "GET", "/quota", ""); !strings.Contains(a.text, `{"limit":20,"resource":"security-group","usage":20}`) {
		t.Errorf("got %d %s", a.status, a.text)
	}
}

func TestRulesAreReplacedAtOnce(t *testing.T) {
	r := start(t)
	id := r.createGroup(t, "web")
	route := "/security-group/" + id
	rule := func(port int) string {
		return ingress(fmt.Sprintf(`"protocol":"tcp","network":"192.0.2.0/24","start-port":%d,"end-port":%d`, port, port))
	}
	r.reference(t, "PUT", route+"/rules", `{"rules":[`+rule(22)+`]}`)
	kept := r.onlyRule(t, route)
	r.reference(t, "PUT", route+"/rules", `{"rules":[`+rule(80)+`,`+rule(22)+`]}`)
	a := r.say(t, "GET", route, "")
	if rules := a.body["rules"].([]any); len(rules) != 2 || !strings.Contains(a.text, kept) {
		t.Errorf("got %s, want two rules of which one is %s", a.text, kept)
	}
	for _, bad := range []string{`{}`, `{"rules":null}`, `{"rules":[` + rule(0) + `]}`, `{"rules":[` + rule(1) + `,` + rule(1) + `]}`} {
		if a := r.say(t, "PUT", route+"/rules", bad); a.status != http.StatusBadRequest || !strings.HasPrefix(a.message(), "rules") {
			t.Errorf("%s: got %d %s", bad, a.status, a.text)
		}
	}
	if again := r.say(t, "GET", route, ""); again.text != a.text {
		t.Errorf("what was refused changed something: %s", again.text)
	}
	r.reference(t, "PUT", route+"/rules", `{"rules":[]}`)
	if a := r.say(t, "GET", route, ""); a.body["rules"] != nil {
		t.Errorf("got %s, want no rules", a.text)
	}
}

func TestInstancesAreOnGrantedHostsOnly(t *testing.T) {
	r := start(t)
	r.join(t, "hv1")
	r.join(t, "hv2")
	organization := r.reference(t, "POST", "/organization", `{"name":"tenant","hosts":["hv1"]}`)
	tenant := r.as(r.newKey(t, "/organization/"+organization+"/api-key", `{"name":"admin","scopes":["admin"]}`))
	on := func(host string) string {
		return `{"name":"on ` + host + `","host":"` + host + `","interfaces":[{"name":"tap0","mac":"52:54:00:00:00:01"}]}`
	}
	if a := tenant.say(t, "POST", "/instance", on("hv1")); a.status != http.StatusOK {
		t.Errorf("on a granted host: got %d %s", a.status, a.text)
	}
	other, none := tenant.say(t, "POST", "/instance", on("hv2")), tenant.say(t, "POST", "/instance", on("hv3"))
	if other.status != http.StatusForbidden || strings.ReplaceAll(other.text, "hv2", "hv3") != none.text {
		t.Errorf("on another host: got %d %s, on one that there is not %d %s", other.status, other.text, none.status, none.text)
	}
}
