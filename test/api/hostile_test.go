package api_test

import (
	"strings"
	"testing"
	"unicode/utf16"
)

const (
	organizations = "/organization"
	keys          = "/api-key"
	sessions      = "/session"
)

// hostilities are requests like malformations, of whoever wants more than is given.
// {org} is the organization, {key} the key that asks, {nokey} one that nobody has.
var hostilities = []malformed{
	// Bodies that are something else.
	{"POST", groups, "name=a&description=b", 400, "body: is not JSON"},
	{"POST", groups, "--x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\na\r\n--x--", 400, "body: is not JSON"},
	{"POST", groups, "name: a\ndescription: b\n", 400, "body: is not JSON"},
	{"POST", groups, "\x1f\x8b\x08\x00\x00\x00\x00\x00", 400, "body: is not UTF-8"},
	{"POST", groups, utf16Text(`{"name":"a"}`), 400, "body: is not"},
	{"POST", groups, "\xff\xfe" + utf16Text(`{"name":"a"}`), 400, "body: is not UTF-8"},
	{"POST", groups, "\x00" + `{"name":"a"}`, 400, "body: is not JSON"},
	{"POST", groups, `{"name":"a"}` + "\x00", 400, "body: "},
	{"POST", groups, "{\"name\":\"a\x00b\"}", 400, "body: is not JSON"},
	{"POST", groups, "{\"name\":\"a\nb\"}", 400, "body: is not JSON"},
	{"POST", groups, "{\"name\":\"\xc0\xaf\"}", 400, "body: is not UTF-8"},
	{"POST", groups, "{\"name\":\"\xed\xa0\x80\"}", 400, "body: is not UTF-8"},
	{"POST", groups, "{\"name\":\"\x80\"}", 400, "body: is not UTF-8"},
	{"POST", groups, `{"name":"\udfff"}`, 400, "name: has a character"},
	{"POST", groups, `{"name":"\ud83d"}`, 400, "name: has a character"},
	{"POST", groups, `{"name":"\u00zz"}`, 400, "body: is not JSON"},
	{"POST", groups, `{"name":"\x41"}`, 400, "body: is not JSON"},
	{"POST", groups, `{name:"a"}`, 400, "body: is not JSON"},
	{"POST", groups, `{"name":"a" /* so */}`, 400, "body: is not JSON"},
	{"POST", groups, "// so\n{\"name\":\"a\"}", 400, "body: is not JSON"},
	{"POST", groups, `{"name":NaN}`, 400, "body: is not JSON"},
	{"POST", groups, `{"name":Infinity}`, 400, "body: is not JSON"},
	{"POST", groups, `{"name":0x10}`, 400, "body: is not JSON"},
	{"POST", groups, `{"name":"a"`, 400, "body: is not JSON"},
	{"POST", groups, `{"name":"a"]`, 400, "body: is not JSON"},
	{"POST", groups, `{"name":"a"}}`, 400, "body: "},
	{"POST", groups, `[{"name":"a"}]`, 400, "body: is not an object"},
	{"POST", groups, `1`, 400, "body: is not an object"},
	{"POST", groups, `{"name":"a","x":` + nested(16) + `}`, 400, "body: is more than 16 levels deep"},
	{"POST", groups, `{"name":"a","x":` + strings.Repeat("[", 100_000) + `}`, 400, "body: is more than 16 levels deep"},
	{"POST", groups, strings.Repeat(" ", 256<<10) + `{"name":"a"}`, 413, "body: is larger than 256 KiB"},
	{"POST", groups, `{` + strings.Repeat(`"a":1,`, 20_000) + `"name":"a"}`, 400, "a: is given twice"},
	{"POST", groups, `{"name":"a","name":"a"}`, 400, "name: is given twice"},
	{"POST", groups, `{"name":"a","n\u0061me":"b"}`, 400, "name: is given twice"},
	{"POST", groups, `{"NAME":"a"}`, 400, "NAME: is written name"},
	{"POST", groups, `{"name":"a","Description":"b"}`, 400, "Description: is written description"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"0.0.0.0/0","Start-Port":1,"End-Port":2`), 400, "Start-Port: is written start-port"},
	{"POST", rules, ingress(`"protocol":"tcp","security-group":{"ID":"{web}"}`), 400, "security-group.ID: is written id"},
	{"POST", explain, `{"from":"192.0.2.1","to":"192.0.2.2","protocol":"tcp","port":null}`, 400, "port: is null"},

	{"POST", explain, `{"from":"192.0.2.1","to":"192.0.2.2","protocol":"icmp","icmp":{"code":3}}`, 400, "icmp.type: is missing"},
	{"POST", batch, `{"rules":[` + ingress(`"network":"0.0.0.0/0"`) + `]}`, 400, "rules[0].protocol: is missing"},

	// Ids and paths that are none.
	{"GET", "/security-group/{web}/", ``, 404, "path"},
	{"GET", "//security-group", ``, 404, "path"},
	{"GET", "/security-group//usage", ``, 404, ""},
	{"GET", "/Security-Group", ``, 404, "path"},
	{"GET", "/security-group/{WEB}", ``, 404, ""},
	{"GET", "/security-group/%7Bweb%7D", ``, 404, ""},
	{"GET", "/security-group/{web}%00", ``, 404, ""},
	{"GET", "/security-group/{web}%0a", ``, 404, ""},
	{"GET", "/security-group/urn:uuid:{web}", ``, 404, ""},
	{"GET", "/security-group/%2e%2e/%2e%2e/etc/passwd", ``, 404, "path"},
	{"GET", "/security-group/..;/host", ``, 404, ""},
	{"GET", "/security-group/" + strings.Repeat("a", 5000), ``, 404, ""},
	{"GET", "/instance/{web}", ``, 404, ""},
	{"GET", "/security-group/{instance}", ``, 404, ""},
	{"GET", "/operation/{web}", ``, 404, ""},
	{"DELETE", "/instance/{web}", ``, 404, ""},
	{"PUT", "/instance/{web}:start", `{}`, 404, ""},
	{"PUT", "/security-group/{web}:make-primary/", ``, 404, ""},
	{"PUT", "/security-group/{web}%3Amake-primaryx", `{}`, 404, ""},
	{"POST", "/security-group/{web}/rules:", `{}`, 404, "path"},
	{"GET", "/api-key/EXO1", ``, 404, "API key"},
	{"GET", "/api-key/{nokey}", ``, 404, "API key"},
	{"GET", "/api-key/..%2Forganization", ``, 404, "API key"},
	{"GET", "/api-key/%00", ``, 404, "API key"},
	{"GET", "/organization/default", ``, 404, "object"},
	{"GET", "/organization/{web}", ``, 404, "organization"},
	{"GET", "/host/..", ``, 404, ""},
	{"GET", "/host/%2e%2e%2fhost", ``, 404, "host"},
	{"DELETE", "/host/%00", ``, 404, "host"},
	{"PUT", "/audit", `{}`, 405, "PUT can't be done"},
	{"DELETE", "/audit", ``, 405, "DELETE can't be done"},
	{"PATCH", "/api-key/{key}", `{}`, 405, "PATCH can't be done"},
	{"PUT", "/quota", `{"quotas":[]}`, 405, "PUT can't be done"},
	{"OPTIONS", groups, ``, 405, "OPTIONS can't be done"},
	{"TRACE", groups, ``, 405, "TRACE can't be done"},

	// Queries.
	{"GET", groups + "?visibility=private&visibility=private", ``, 400, "visibility: is given 2 times"},
	{"GET", groups + "?%zz", ``, 400, "query: can't be read"},
	{"GET", groups + "?a;b", ``, 400, "query: can't be read"},
	{"GET", groups + "?visibility=PRIVATE", ``, 400, "visibility:"},
	{"GET", instances + "?labels=role", ``, 400, "labels:"},
	{"GET", instances + "?ip-address=10.0.0.0/8", ``, 400, "ip-address:"},
	{"GET", instances + "?ip-address=a&ip-address=b", ``, 400, "ip-address: is given 2 times"},
	{"GET", "/template?visibility=all", ``, 400, "visibility:"},
	{"GET", "/audit?limit=0", ``, 400, "limit: 0 is out of range"},
	{"GET", "/audit?limit=1001", ``, 400, "limit: 1001 is out of range"},
	{"GET", "/audit?limit=ten", ``, 400, "limit:"},
	{"GET", "/audit?limit=99999999999999999999", ``, 400, "limit:"},
	{"GET", "/audit?before=-1", ``, 400, "before: -1 is out of range"},
	{"GET", "/audit?before=1e3", ``, 400, "before:"},
	{"GET", "/audit?log=everything", ``, 400, "log:"},
	{"GET", "/audit?log={org}", ``, 400, "log:"},

	// Organizations.
	{"POST", organizations, `{}`, 400, "name: is missing"},
	{"POST", organizations, `{"name":"` + long256 + `"}`, 400, "name: has 256 characters"},
	{"POST", organizations, `{"name":"a\u0007"}`, 400, "name: has the control character"},
	{"POST", organizations, `{"name":"default"}`, 409, `there is an organization "default"`},
	{"POST", organizations, `{"name":"o","id":"{org}"}`, 400, "id: is not a field"},
	{"POST", organizations, `{"name":"o","created-at":"2020-01-01T00:00:00Z"}`, 400, "created-at: is not a field"},
	{"POST", organizations, `{"name":"o","quotas":null}`, 400, "quotas: is null"},
	{"POST", organizations, `{"name":"o","quotas":{"security-groups":0}}`, 400, "quotas.security-groups: 0 is out of range"},
	{"POST", organizations, `{"name":"o","quotas":{"security-groups":100001}}`, 400, "quotas.security-groups: 100001 is out of range"},
	{"POST", organizations, `{"name":"o","quotas":{"security-groups-per-instance":17}}`, 400, "quotas.security-groups-per-instance: 17 is out of range"},
	{"POST", organizations, `{"name":"o","quotas":{"instances":-1}}`, 400, "quotas.instances: -1 is out of range"},
	{"POST", organizations, `{"name":"o","quotas":{"instances":1.5}}`, 400, "quotas.instances: is 1.5"},
	{"POST", organizations, `{"name":"o","quotas":{"api-keys":1e9}}`, 400, "quotas.api-keys: is 1e9"},
	{"POST", organizations, `{"name":"o","quotas":{"hosts":1}}`, 400, "quotas.hosts: is not a field"},
	{"POST", organizations, `{"name":"o","hosts":["a/b"]}`, 400, "hosts[0]:"},
	{"POST", organizations, `{"name":"o","hosts":["*","*"]}`, 400, `hosts[1]: "*" is there twice`},
	{"POST", organizations, `{"name":"o","hosts":["**"]}`, 400, "hosts[0]:"},
	{"POST", organizations, `{"name":"o","hosts":[null]}`, 400, "hosts[0]: is null"},
	{"POST", organizations, `{"name":"o","hosts":[` + strings.Repeat(`"h",`, 1000) + `"i"]}`, 400, "hosts: are 1001"},
	{"PUT", "/organization/{org}", `{}`, 400, "name: give a new name"},
	{"PUT", "/organization/{org}", `{"name":""}`, 400, "name: is empty"},
	{"PUT", "/organization/{org}", `{"id":"{gone}"}`, 400, "id: is not a field"},
	{"PUT", "/organization/{org}", `{"quotas":{"api-keys":0}}`, 400, "quotas.api-keys: 0 is out of range"},
	{"PUT", "/organization/{gone}", `{"name":"o"}`, 404, "organization"},
	{"DELETE", "/organization/{org}", ``, 409, ""},
	{"DELETE", "/organization/{gone}", ``, 404, "organization"},
	{"POST", "/organization/{gone}/api-key", `{"name":"k","scopes":["read"]}`, 404, "organization"},

	// Keys.
	{"POST", keys, `{}`, 400, "name: is missing"},
	{"POST", keys, `{"name":"k"}`, 400, "scopes: is missing"},
	{"POST", keys, `{"name":"k","scopes":[]}`, 400, "scopes: is empty"},
	{"POST", keys, `{"name":"k","scopes":null}`, 400, "scopes: is null"},
	{"POST", keys, `{"name":"k","scopes":["all"]}`, 400, "scopes[0]:"},
	{"POST", keys, `{"name":"k","scopes":["Admin"]}`, 400, "scopes[0]:"},
	{"POST", keys, `{"name":"k","scopes":["read","read"]}`, 400, "scopes: "},
	{"POST", keys, `{"name":"k","scopes":[1]}`, 400, "scopes: is a number"},
	{"POST", keys, `{"name":"` + long256 + `","scopes":["read"]}`, 400, "name: has 256 characters"},
	{"POST", keys, `{"name":"k","scopes":["read"],"expires-at":"soon"}`, 400, `expires-at: "soon" is not a time`},
	{"POST", keys, `{"name":"k","scopes":["read"],"expires-at":"2020-01-01T00:00:00Z"}`, 400, "expires-at: 2020-01-01T00:00:00Z is not in the future"},
	{"POST", keys, `{"name":"k","scopes":["read"],"expires-at":"0001-01-01T00:00:00Z"}`, 400, "expires-at: 0001-01-01T00:00:00Z is not in the future"},
	{"POST", keys, `{"name":"k","scopes":["read"],"expires-at":"2030-02-31T00:00:00Z"}`, 400, "expires-at:"},
	{"POST", keys, `{"name":"k","scopes":["read"],"secret":"chosen"}`, 400, "secret: is not a field"},
	{"POST", keys, `{"name":"k","scopes":["read"],"key":"{nokey}"}`, 400, "key: is not a field"},
	{"POST", keys, `{"name":"k","scopes":["read"],"organization":"{gone}"}`, 400, "organization: is not a field"},
	{"PUT", "/api-key/{key}:rotate", ``, 400, "body: is empty"},
	{"PUT", "/api-key/{key}:rotate", `{"overlap-seconds":-1}`, 400, "overlap-seconds: -1 is out of range"},
	{"PUT", "/api-key/{key}:rotate", `{"overlap-seconds":604801}`, 400, "overlap-seconds: 604801 is out of range"},
	{"PUT", "/api-key/{key}:rotate", `{"overlap-seconds":null}`, 400, "overlap-seconds: is null"},
	{"PUT", "/api-key/{key}:rotate", `{"scopes":["admin"]}`, 400, "scopes: is not a field"},
	{"PUT", "/api-key/{key}:rotate", `{"operator":true}`, 400, "operator: is not a field"},
	{"PUT", "/api-key/{nokey}:rotate", `{}`, 404, "API key"},
	{"DELETE", "/api-key/{key}", ``, 409, ""},
	{"DELETE", "/api-key/{nokey}", ``, 404, "API key"},

	// Sessions.
	{"POST", sessions, `{}`, 400, "key: is missing"},
	{"POST", sessions, `{"key":"{key}"}`, 400, "secret: is missing"},
	{"POST", sessions, `{"key":"{key}","secret":""}`, 400, "secret: is empty"},
	{"POST", sessions, `{"key":"{key}","secret":"guessed"}`, 403, "the key or its secret is wrong"},
	{"POST", sessions, `{"key":"{nokey}","secret":"guessed"}`, 403, "the key or its secret is wrong"},
	{"POST", sessions, `{"key":"../key","secret":"guessed"}`, 403, "the key or its secret is wrong"},
	{"POST", sessions, `{"key":"{key}","secret":"` + strings.Repeat("x", 100_000) + `"}`, 403, "the key or its secret is wrong"},
	{"POST", sessions, `{"key":"{key}","secret":"guessed","operator":true}`, 400, "operator: is not a field"},
	{"DELETE", sessions, ``, 400, "Cookie:"},
}

func nested(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }

func utf16Text(s string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(s)) {
		b.Write([]byte{byte(unit), byte(unit >> 8)})
	}
	return b.String()
}

// typed is a field of a request, and what it has to be.
type typed struct{ method, route, body, field, kind string }

// typedFields are fields with FIELD where their value stands.
var typedFields = []typed{
	{"POST", groups, `{"name":FIELD}`, "name", "string"},
	{"POST", groups, `{"name":"a","description":FIELD}`, "description", "string"},
	{"PUT", "/security-group/{web}", `{"name":FIELD}`, "name", "string"},
	{"PUT", "/security-group/{web}", `{"description":FIELD}`, "description", "string"},
	{"POST", rules, `{"flow-direction":FIELD,"protocol":"ah","network":"::/0"}`, "flow-direction", "string"},
	{"POST", rules, ingress(`"protocol":FIELD,"network":"::/0"`), "protocol", "string"},
	{"POST", rules, ingress(`"protocol":"ah","network":FIELD`), "network", "string"},
	{"POST", rules, ingress(`"protocol":"ah","network":"::/0","description":FIELD`), "description", "string"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"::/0","start-port":FIELD,"end-port":1`), "start-port", "number"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"::/0","start-port":1,"end-port":FIELD`), "end-port", "number"},
	{"POST", rules, ingress(`"protocol":"icmp","network":"0.0.0.0/0","icmp":FIELD`), "icmp", "object"},
	{"POST", rules, ingress(`"protocol":"icmp","network":"0.0.0.0/0","icmp":{"type":FIELD}`), "icmp.type", "number"},
	{"POST", rules, ingress(`"protocol":"icmp","network":"0.0.0.0/0","icmp":{"type":3,"code":FIELD}`), "icmp.code", "number"},
	{"POST", rules, ingress(`"protocol":"ah","security-group":FIELD`), "security-group", "object"},
	{"POST", rules, ingress(`"protocol":"ah","security-group":{"id":FIELD}`), "security-group.id", "string"},
	{"POST", batch, `{"rules":FIELD}`, "rules", "array"},
	{"PUT", rules, `{"rules":FIELD}`, "rules", "array"},
	{"PUT", "/security-group/{web}:add-source", `{"cidr":FIELD}`, "cidr", "string"},
	{"PUT", "/security-group/{web}:remove-source", `{"cidr":FIELD}`, "cidr", "string"},
	{"PUT", "/security-group/{web}:attach", `{"instance":FIELD}`, "instance", "object"},
	{"PUT", "/security-group/{web}:detach", `{"instance":{"id":FIELD}}`, "instance.id", "string"},
	{"POST", instances, `{"name":FIELD}`, "name", "string"},
	{"POST", instances, `{"name":"i","host":FIELD}`, "host", "string"},
	{"POST", instances, `{"name":"i","labels":FIELD}`, "labels", "object"},
	{"POST", instances, `{"name":"i","labels":{"a":FIELD}}`, "labels", "string"},
	{"POST", instances, `{"name":"i","security-groups":FIELD}`, "security-groups", "array"},
	{"POST", instances, `{"name":"i","interfaces":FIELD}`, "interfaces", "array"},
	{"POST", instances, on(`{"name":FIELD,"mac":"52:54:00:00:00:01"}`), "interfaces", "string"},
	{"POST", instances, on(`{"name":"tap0","mac":FIELD}`), "interfaces", "string"},
	{"POST", instances, on(`{"name":"tap0","mac":"52:54:00:00:00:01","ipv4":FIELD}`), "interfaces", "array"},
	{"POST", instances, on(`{"name":"tap0","mac":"52:54:00:00:00:01","managed":FIELD}`), "interfaces", "bool"},
	{"PUT", "/instance/{instance}", `{"name":FIELD}`, "name", "string"},
	{"PUT", "/instance/{instance}", `{"labels":FIELD}`, "labels", "object"},
	{"POST", explain, `{"from":FIELD,"to":"192.0.2.1","protocol":"ah"}`, "from", "string"},
	{"POST", explain, `{"from":"192.0.2.2","to":FIELD,"protocol":"ah"}`, "to", "string"},
	{"POST", explain, `{"from":"192.0.2.2","to":"192.0.2.1","protocol":"tcp","port":FIELD}`, "port", "number"},
	{"POST", "/host-token", `{"host":FIELD}`, "host", "string"},
	{"POST", organizations, `{"name":FIELD}`, "name", "string"},
	{"POST", organizations, `{"name":"o","quotas":FIELD}`, "quotas", "object"},
	{"POST", organizations, `{"name":"o","hosts":FIELD}`, "hosts", "array"},
	{"POST", keys, `{"name":FIELD,"scopes":["read"]}`, "name", "string"},
	{"POST", keys, `{"name":"k","scopes":FIELD}`, "scopes", "array"},
	{"POST", keys, `{"name":"k","scopes":["read"],"operator":FIELD}`, "operator", "bool"},
	{"PUT", "/api-key/{key}:rotate", `{"overlap-seconds":FIELD}`, "overlap-seconds", "number"},
	{"POST", sessions, `{"key":FIELD,"secret":"x"}`, "key", "string"},
	{"POST", sessions, `{"key":"x","secret":FIELD}`, "secret", "string"},
	{"POST", "/ssh-key", `{"name":FIELD,"public-key":"x"}`, "name", "string"},
}

// mistyped are requests with a value of each other kind in each field.
func mistyped() (all []malformed) {
	for _, f := range typedFields {
		for _, value := range [][2]string{{"string", `"x"`}, {"number", `7`}, {"bool", `true`}, {"array", `["x"]`}, {"object", `{"a":"x"}`}} {
			if value[0] != f.kind {
				all = append(all, malformed{f.method, f.route, strings.Replace(f.body, "FIELD", value[1], 1), 400, f.field})
			}
		}
	}
	return all
}

// TestUnknownFieldsOfThePublicAPIAreIgnored gives objects what is not theirs to have.
func TestUnknownFieldsOfThePublicAPIAreIgnored(t *testing.T) {
	r := start(t)
	const chosen = "00000000-0000-4000-8000-00000000000a"
	const more = `,"id":"` + chosen + `","organization":"` + chosen + `","visibility":"public","primary":true,"created-at":"2020-01-01T00:00:00Z","revision":1,"operator":true,"scopes":["admin"],"state":"stopped","protected":true`
	group := r.reference(t, "POST", groups, `{"name":"web"`+more+`}`)
	r.reference(t, "POST", "/security-group/"+group+"/rules", ingress(`"protocol":"ah","network":"::/0"`+more))
	instance := r.reference(t, "POST", instances, `{"name":"i"`+more+`}`)
	for _, route := range []string{"/security-group/" + group, "/instance/" + instance} {
		a := r.say(t, "GET", route, "")
		if a.status != 200 || strings.Contains(a.text, chosen) || strings.Contains(a.text, "2020") || a.body["visibility"] == "public" || a.body["primary"] == true {
			t.Errorf("GET %s: got %d %s", route, a.status, a.text)
		}
	}
	if a := r.say(t, "DELETE", "/instance/"+instance, ""); a.status != 200 {
		t.Errorf("it was made protected: got %d %s", a.status, a.text)
	}
}
