package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sent is a request as exo 1.97 or the Terraform provider sends it. In routes and
// bodies {web} and the like stand for ids.
type sent struct {
	method, route, body string
	status              int
	as                  string // what to call the id that the answer refers to
	says                string // what the answer contains
}

const (
	// junk is an instance as the clients send it where an id is meant.
	junk = `{"created-at":"0001-01-01T00:00:00Z","id":"{vm}"}`

	createdByExo = `{"disk-size":50,"instance-type":{"authorized":true,"cpus":2,"family":"standard","id":"6d9a4d4e-2f0a-4a51-9a35-0f6a7c1e5b01","memory":2147483648,"size":"small"},` +
		`"ipv6-enabled":false,"labels":{"role":"web"},"name":"vm","public-ip-assignment":"inet4","secureboot-enabled":false,"security-groups":[{"id":"{web}"}],` +
		`"ssh-keys":[{"name":"vm-1700000000"}],"template":{"created-at":"0001-01-01T00:00:00Z","id":"6d9a4d4e-2f0a-4a51-9a35-0f6a7c1e5b02"},"tpm-enabled":false,"user-data":"I2Nsb3VkLWNvbmZpZw=="}`
)

var session = []sent{
	{"GET", "/zone", "", 200, "", `"name":"ch-gva-2"`},
	{"GET", "/security-group", "", 200, "", `"name":"default"`},
	{"GET", "/security-group?visibility=public", "", 200, "", `{"security-groups":[]}`},
	{"GET", "/security-group?visibility=private", "", 200, "", `"name":"default"`},

	// A group, with fields that nobody knows here.
	{"POST", "/security-group", `{"name":"web","description":"","timeouts":{"create":"5m"},"tags":[{"a":null}]}`, 200, "web", `"state":"success"`},
	{"POST", "/security-group", `{"name":"App","description":"case is kept"}`, 200, "app", ""},
	{"PUT", "/security-group/{web}:add-source", `{"cidr":"198.51.100.7/32","note":"x"}`, 200, "", `"id":"{web}"`},
	{"PUT", "/security-group/{web}:remove-source", `{"cidr":"198.51.100.7/32"}`, 200, "", `"id":"{web}"`},
	{"PUT", "/security-group/{web}:remove-source", `{"cidr":"192.0.2.0/24"}`, 404, "", "192.0.2.0/24"},

	// Rules: what has no value is null, empty or left out.
	{"POST", "/security-group/{web}/rules", `{"flow-direction":"ingress","protocol":"tcp","start-port":22,"end-port":22,"network":"0.0.0.0/0","icmp":null,"security-group":null,"description":null}`, 200, "", `"id":"{web}"`},
	{"POST", "/security-group/{web}/rules", `{"flow-direction":"ingress","protocol":"icmp","icmp":{"code":0,"type":8},"network":"10.0.0.0/8","start-port":null,"end-port":null}`, 200, "", `"id":"{web}"`},
	{"POST", "/security-group/{web}/rules", `{"flow-direction":"ingress","protocol":"icmpv6","icmp":{},"network":"::/0"}`, 200, "", ""},
	{"POST", "/security-group/{web}/rules", `{"flow-direction":"ingress","protocol":"icmp","icmp":null,"network":"192.0.2.0/24"}`, 200, "", ""},
	{"POST", "/security-group/{web}/rules", `{"flow-direction":"egress","protocol":"udp","start-port":1,"end-port":65535,"security-group":{"id":"{app}"},"network":""}`, 200, "", ""},
	{"POST", "/security-group/{web}/rules", `{"flow-direction":"egress","protocol":"ah","security-group":{"id":"{app}","name":"App","visibility":"private"}}`, 200, "", ""},
	{"POST", "/security-group/{web}/rules", `{"flow-direction":"ingress","protocol":"tcp","security-group":{"name":"any","visibility":"public"}}`, 400, "", "there are no public groups here"},
	{"POST", "/security-group/{web}/rules", `{"flow-direction":"ingress","protocol":"tcp","start-port":22,"end-port":22,"network":"0.0.0.0/0","description":"again"}`, 409, "", "its id is"},
	{"POST", "/security-group/{web}/rules", `{"flow-direction":"ingress","protocol":"tcp","start-port":0,"end-port":22,"network":"0.0.0.0/0"}`, 400, "", "start-port"},
	{"POST", "/security-group/{web}/rules", `{"flow-direction":"ingress","protocol":"gre","start-port":22,"end-port":22,"network":"0.0.0.0/0"}`, 400, "", "start-port"},
	{"POST", "/security-group/{web}/rules", `{"flow-direction":"ingress","protocol":"tcp","icmp":{"type":8,"code":0},"network":"0.0.0.0/0"}`, 400, "", "icmp"},

	// An instance, from its key to its reverse DNS.
	{"GET", "/instance-type", "", 200, "", `"size":"small"`},
	{"GET", "/template?visibility=public", "", 200, "", `"name":"Any"`},
	{"GET", "/template?visibility=private", "", 200, "", `{"templates":[]}`},
	{"POST", "/ssh-key", `{"name":"vm-1700000000","public-key":"ssh-rsa AAAA\n"}`, 200, "", `"state":"success"`},
	{"POST", "/instance", createdByExo, 200, "vm", `"state":"success"`},
	{"DELETE", "/ssh-key/vm-1700000000", "", 200, "", `"state":"success"`},
	{"GET", "/instance?ip-address=10.0.0.7&manager-id=&manager-type=&labels=", "", 200, "", `{"instances":[]}`},
	{"GET", "/instance?labels=role%3Aweb", "", 200, "", `"id":"{vm}"`},
	{"PUT", "/instance/{vm}", `{"labels":null,"name":"vm2"}`, 200, "", `"id":"{vm}"`},
	{"GET", "/instance/{vm}", "", 200, "", `"labels":{"role":"web"}`},
	{"PUT", "/instance/{vm}", `{"labels":{}}`, 200, "", ""},
	{"GET", "/instance/{vm}", "", 200, "", `"labels":{}`},
	{"GET", "/reverse-dns/instance/{vm}", "", 404, "", "message"},
	{"DELETE", "/reverse-dns/instance/{vm}", "", 200, "", `"state":"success"`},

	// Verbs with and without a body.
	{"PUT", "/instance/{vm}:start", `{}`, 200, "", `"id":"{vm}"`},
	{"PUT", "/security-group/{app}:attach", `{"instance":` + junk + `}`, 409, "", "stop it first"},
	{"PUT", "/instance/{vm}:reboot", "", 200, "", ""},
	{"PUT", "/instance/{vm}:stop", "", 200, "", ""},
	{"PUT", "/security-group/{app}:attach", `{"instance":` + junk + `}`, 200, "", `"id":"{vm}"`},
	{"PUT", "/security-group/{app}:detach", `{"instance":` + junk + `}`, 200, "", `"id":"{vm}"`},
	{"PUT", "/security-group/{app}:attach", `{"instance":{}}`, 400, "", "instance.id"},
	{"PUT", "/instance/{vm}:add-protection", "", 200, "", ""},
	{"DELETE", "/instance/{vm}", "", 409, "", "protect"},
	{"PUT", "/instance/{vm}:remove-protection", "", 200, "", ""},

	// In use, gone, and never there.
	{"DELETE", "/security-group/{app}", "", 409, "", "web"},
	{"DELETE", "/instance/{vm}", "", 200, "", `"id":"{vm}"`},
	{"GET", "/instance/{vm}", "", 404, "", "message"},
	{"DELETE", "/security-group/{web}", "", 200, "", `"id":"{web}"`},
	{"DELETE", "/security-group/{web}/rules/" + absent, "", 404, "", "message"},
	{"DELETE", "/security-group/" + absent, "", 404, "", "message"},
	{"DELETE", "/instance/" + absent, "", 404, "", "message"},
	{"GET", "/operation/" + absent, "", 404, "", "message"},
}

func TestWhatExoAndTerraformSend(t *testing.T) {
	r := start(t)
	ids := []string{}
	for i, q := range session {
		fill := strings.NewReplacer(ids...)
		a := r.say(t, q.method, fill.Replace(q.route), fill.Replace(q.body))
		if a.status != q.status || !strings.Contains(a.text, fill.Replace(q.says)) {
			t.Errorf("%d: %s %s %s: got %d %s, want %d with %s", i, q.method, q.route, q.body, a.status, a.text, q.status, q.says)
		}
		if q.as != "" {
			id, _ := a.body["reference"].(map[string]any)["id"].(string)
			ids = append(ids, "{"+q.as+"}", id)
		}
	}
}

// Terraform learns which rule it made by comparing each field of the group's rules
// with what it sent, and takes the first that is equal.
func TestTerraformFindsItsRule(t *testing.T) {
	r := start(t)
	web, app := r.createGroup(t, "web"), r.createGroup(t, "App")
	asked := []string{
		`"description":"HTTPS","start-port":443,"end-port":443,"protocol":"tcp","network":"0.0.0.0/0"`,
		`"start-port":443,"end-port":443,"protocol":"tcp","network":"::/0"`,
		`"start-port":1,"end-port":65535,"protocol":"udp","network":"2001:db8::/32"`,
		`"protocol":"tcp","network":"192.0.2.1/32"`,
		`"protocol":"udp","network":"2001:db8::1/128","description":"für <alle> & \"jeden\" — 1 ’ 🌐 "`,
		`"protocol":"icmp","icmp":{"type":8,"code":0},"network":"10.0.0.0/8"`,
		`"protocol":"icmp","icmp":{"type":0,"code":0},"network":"10.0.0.0/8"`,
		`"protocol":"icmp","icmp":{"type":-1,"code":-1},"network":"10.0.0.0/8"`,
		`"protocol":"icmpv6","icmp":{"type":128,"code":-1},"network":"::/0"`,
		`"protocol":"esp","network":"10.0.0.0/8"`,
		`"protocol":"tcp","start-port":22,"end-port":22,"security-group":{"id":"` + app + `","name":"App"}`,
		`"protocol":"gre","security-group":{"id":"` + web + `","name":"web"}`,
	}
	var want []map[string]any
	for i, fields := range asked {
		direction := []string{"ingress", "egress"}[i%2]
		body := fmt.Sprintf(`{"flow-direction":%q,%s}`, direction, fields)
		if got := r.reference(t, "POST", "/security-group/"+web+"/rules", body); got != web {
			t.Errorf("%s refers to %s, want the group", body, got)
		}
		var rule map[string]any
		if err := json.Unmarshal([]byte(body), &rule); err != nil {
			t.Fatal(err)
		}
		want = append(want, rule)
		if diff := cmp.Diff(want, r.rulesOf(t, web)); diff != "" {
			t.Fatalf("after rule %d (-sent +got):\n%s", i, diff)
		}
	}
	if again := r.rulesOf(t, web); !cmp.Equal(want, again) {
		t.Errorf("asked again, the rules are others: %v", again)
	}
}

// rulesOf are the group's rules, as the list of groups has them, too, without ids.
func (r *running) rulesOf(t *testing.T, group string) []map[string]any {
	t.Helper()
	rules := func(holder map[string]any) (list []map[string]any) {
		all, _ := holder["rules"].([]any)
		for _, each := range all {
			rule := each.(map[string]any)
			delete(rule, "id")
			list = append(list, rule)
		}
		return list
	}
	one := rules(r.say(t, "GET", "/security-group/"+group, "").body)
	for _, each := range r.say(t, "GET", "/security-group", "").body["security-groups"].([]any) {
		if holder := each.(map[string]any); holder["id"] == group && !cmp.Equal(one, rules(holder)) {
			t.Errorf("the list of groups has other rules than the group: %v", holder)
		}
	}
	return one
}

// What is not in its canonical form can't come back as it was sent. Where there is
// no doubt what is meant it is kept in that form, where there is it is refused.
func TestNetworksThatAreNotCanonical(t *testing.T) {
	r := start(t)
	web := r.createGroup(t, "web")
	for network, want := range map[string]string{
		"8.8.8.8":           "8.8.8.8/32",
		"2001:DB8:0::/48":   "2001:db8::/48",
		"2001:db8::7":       "2001:db8::7/128",
		"10.0.0.1/8":        "", // host bits
		"::ffff:10.0.0.0/8": "",
		"::ffff:10.0.0.1":   "",
		"10.0.0.0/33":       "",
		"010.0.0.0/8":       "",
		"fe80::1%eth0/64":   "",
	} {
		a := r.say(t, "POST", "/security-group/"+web+"/rules", fmt.Sprintf(`{"flow-direction":"ingress","protocol":"ipip","network":%q}`, network))
		group := r.say(t, "GET", "/security-group/"+web, "")
		switch {
		case want == "" && (a.status != 400 || !strings.HasPrefix(a.message(), "network: ")):
			t.Errorf("%s: got %d %s, want 400", network, a.status, a.text)
		case want != "" && (a.status != 200 || !strings.Contains(group.text, `"`+want+`"`)):
			t.Errorf("%s: got %d %s, then %s", network, a.status, a.text, group.text)
		}
	}
}

// exo dereferences these of every instance, without looking.
func TestInstancesHaveWhatExoDereferences(t *testing.T) {
	r := start(t)
	r.join(t, "hv1")
	ids := []string{r.register(t, "hv1", "db1", 7), r.reference(t, "POST", "/instance", `{"name":"bare"}`)}
	listed := r.say(t, "GET", "/instance", "").body["instances"].([]any)
	if len(listed) != len(ids) {
		t.Fatalf("instances: got %v", listed)
	}
	for i, id := range ids {
		shown := r.say(t, "GET", "/instance/"+id, "").body
		if diff := cmp.Diff(shown, listed[i].(map[string]any)); diff != "" {
			t.Errorf("the instance and what the list has of it (-instance +list):\n%s", diff)
		}
		for _, field := range []string{"instance-type", "template", "secureboot-enabled", "tpm-enabled", "labels", "security-groups"} {
			if shown[field] == nil {
				t.Errorf("%s lacks %s: %v", shown["name"], field, shown)
			}
		}
		for _, route := range []string{"/instance-type/", "/template/"} {
			kind := strings.Trim(route, "/")
			ref, _ := shown[kind].(map[string]any)
			if a := r.say(t, "GET", route+fmt.Sprint(ref["id"]), ""); a.status != 200 {
				t.Errorf("the %s of %s: got %d %s", kind, shown["name"], a.status, a.text)
			}
		}
	}
}
