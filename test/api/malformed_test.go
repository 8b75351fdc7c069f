package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// malformed is a request that must change nothing. In routes and bodies {web},
// {rule}, {instance}, {default} and {gone} stand for ids.
type malformed struct {
	method, route, body string
	status              int
	names               string // what the message begins with, such as the field
}

const (
	groups    = "/security-group"
	rules     = "/security-group/{web}/rules"
	batch     = "/security-group/{web}/rules:batch"
	instances = "/instance"
	explain   = "/explain"
)

// ingress is a rule on its way in, with these further fields.
func ingress(fields string) string {
	return `{"flow-direction":"ingress",` + fields + `}`
}

// on is an instance on the host hv1 with this interface.
func on(nic string) string {
	return `{"name":"i","host":"hv1","interfaces":[` + nic + `]}`
}

var (
	long256 = strings.Repeat("x", 256)
	deep    = strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)
)

var malformations = []malformed{
	// What is no JSON object.
	{"POST", groups, ``, 400, "body: is empty"},
	{"POST", groups, `   `, 400, "body: is empty"},
	{"POST", groups, `{`, 400, "body: is not JSON"},
	{"POST", groups, `{"name":`, 400, "body: is not JSON"},
	{"POST", groups, `{"name":"a",}`, 400, "body: is not JSON"},
	{"POST", groups, `{'name':'a'}`, 400, "body: is not JSON"},
	{"POST", groups, `{"name":"a"}{}`, 400, "body: goes on"},
	{"POST", groups, `{"name":"a"} trailing`, 400, "body: goes on"},
	{"POST", groups, `[]`, 400, "body: is not an object"},
	{"POST", groups, `"name"`, 400, "body: is not an object"},
	{"POST", groups, `null`, 400, "body: is not an object"},
	{"POST", groups, `true`, 400, "body: is not an object"},
	{"POST", groups, `<name>a</name>`, 400, "body: is not JSON"},
	{"POST", groups, "{\"name\":\"\xff\"}", 400, "body: is not UTF-8"},
	{"POST", groups, `{"name":"\ud800"}`, 400, "name: has a character"},
	{"POST", groups, "\xef\xbb\xbf{\"name\":\"a\"}", 400, "body: is not JSON"},
	{"POST", groups, deep, 400, "body: is more than 16 levels deep"},
	{"POST", groups, `{"name":"a","name":"b"}`, 400, "name: is given twice"},
	{"POST", groups, `{"name":"a","description":"` + strings.Repeat("x", 300<<10) + `"}`, 413, "body: is larger than 256 KiB"},
	{"POST", batch, `{"rules":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, 400, "body: is more than 16 levels deep"},

	// Groups.
	{"POST", groups, `{}`, 400, "name: is empty"},
	{"POST", groups, `{"name":""}`, 400, "name: is empty"},
	{"POST", groups, `{"name":null}`, 400, "name: is empty"},
	{"POST", groups, `{"name":1}`, 400, "name: is a number"},
	{"POST", groups, `{"name":true}`, 400, "name: is true or false"},
	{"POST", groups, `{"name":["a"]}`, 400, "name: is an array"},
	{"POST", groups, `{"name":{"a":1}}`, 400, "name: is an object"},
	{"POST", groups, `{"name":"` + long256 + `"}`, 400, "name: has 256 characters"},
	{"POST", groups, `{"name":"a\nb"}`, 400, "name: has the control character U+000A"},
	{"POST", groups, `{"name":"ok\u202egnp.exe"}`, 400, "name: has the control character U+202E"},
	{"POST", "/instance", `{"name":"a","labels":{"k\u2066":"v"}}`, 400, "labels: has the control character U+2066"},
	{"POST", "/instance", `{"name":"a","labels":{"k":"\u2066"}}`, 400, "labels.k: has the control character U+2066"},
	{"POST", groups, `{"name":"a","description":"\u2028"}`, 400, "description: has the control character U+2028"},
	{"POST", groups, `{"name":"a\u0000b"}`, 400, "name: has the control character U+0000"},
	{"POST", groups, `{"name":"a","description":"` + long256 + `"}`, 400, "description: has 256 characters"},
	{"POST", groups, `{"name":"a","description":7}`, 400, "description: is a number"},
	{"POST", groups, `{"name":"a","description":"\u001b[31m"}`, 400, "description: has the control character"},
	{"POST", groups, `{"name":"web","description":"again"}`, 409, `there is a security group "web"`},
	{"POST", groups, `{"name":"default"}`, 409, `there is a security group "default"`},
	{"GET", groups + "?visibility=secret", ``, 400, "visibility:"},
	{"PUT", "/security-group/{web}", `{}`, 400, "name: give a new name"},
	{"PUT", "/security-group/{web}", `{"name":""}`, 400, "name: is empty"},
	{"PUT", "/security-group/{web}", `{"name":"default"}`, 409, `there is a security group "default"`},
	{"PUT", "/security-group/{web}", `{"id":"{gone}"}`, 400, "id: is not a field"},
	{"PUT", "/security-group/{web}", `{"visibility":"public"}`, 400, "visibility: is not a field"},
	{"PUT", "/security-group/{web}", `{"organization":"other"}`, 400, "organization: is not a field"},
	{"PUT", "/security-group/{default}", `{"name":"renamed"}`, 409, "the default security group"},
	{"DELETE", "/security-group/{default}", ``, 409, "the default security group"},

	// Ids that are nobody's.
	{"GET", "/security-group/{gone}", ``, 404, "security group"},
	{"PUT", "/security-group/{gone}", `{"name":"a"}`, 404, "security group"},
	{"DELETE", "/security-group/{gone}", ``, 404, "security group"},
	{"GET", "/security-group/{gone}/usage", ``, 404, "security group"},
	{"PUT", "/security-group/{gone}:make-primary", ``, 404, "security group"},
	{"POST", "/security-group/{gone}/rules", ingress(`"protocol":"ah","network":"0.0.0.0/0"`), 404, "security group"},
	{"POST", "/security-group/{gone}/rules:batch", `{"rules":[` + ingress(`"protocol":"ah","network":"0.0.0.0/0"`) + `]}`, 404, "security group"},
	{"DELETE", "/security-group/{web}/rules/{gone}", ``, 404, "rule"},
	{"DELETE", "/security-group/{default}/rules/{rule}", ``, 404, "rule"},
	{"DELETE", "/security-group/{gone}/rules/{rule}", ``, 404, "security group"},
	{"PUT", "/security-group/{gone}:add-source", `{"cidr":"10.0.0.0/8"}`, 404, "security group"},
	{"PUT", "/security-group/{gone}:attach", `{"instance":{"id":"{instance}"}}`, 404, "security group"},
	{"PUT", "/security-group/{web}:attach", `{"instance":{"id":"{gone}"}}`, 404, "instance"},
	{"PUT", "/security-group/{web}:detach", `{"instance":{"id":"{gone}"}}`, 404, "instance"},
	{"GET", "/operation/{gone}", ``, 404, "operation"},
	{"GET", "/instance/{gone}", ``, 404, "instance"},
	{"PUT", "/instance/{gone}", `{"name":"a"}`, 404, "instance"},
	{"DELETE", "/instance/{gone}", ``, 404, "instance"},
	{"PUT", "/instance/{gone}:start", `{}`, 404, "instance"},
	{"PUT", "/instance/{gone}:stop", ``, 404, "instance"},
	{"PUT", "/instance/{gone}:reboot", ``, 404, "instance"},
	{"PUT", "/instance/{gone}:add-protection", ``, 404, "instance"},
	{"GET", "/instance-type/{gone}", ``, 404, "instance type"},
	{"GET", "/template/{gone}", ``, 404, "template"},
	{"GET", "/reverse-dns/instance/{instance}", ``, 404, "reverse DNS"},
	{"GET", "/security-group/web", ``, 404, "object"},
	{"GET", "/security-group/..%2F..%2Fkey", ``, 404, "object"},
	{"GET", "/security-group/%00", ``, 404, "object"},
	{"GET", "/security-group/{web}%20", ``, 404, "object"},
	{"DELETE", "/security-group/{web}/rules/*", ``, 404, "object"},
	{"PUT", "/security-group/{web}:explode", `{}`, 404, "object"},
	{"GET", "/host/nobody", ``, 404, "host"},
	{"DELETE", "/host/nobody", ``, 404, "host"},
	{"DELETE", "/host/a%2Fb", ``, 404, "host"},
	{"GET", "/nothing", ``, 404, "path"},
	{"GET", "/security-group/{web}/rules/{rule}/more", ``, 404, "path"},
	{"PATCH", "/security-group/{web}", `{}`, 405, "PATCH can't be done"},
	{"DELETE", groups, ``, 405, "DELETE can't be done"},
	{"GET", "/security-group/{web}:attach", ``, 404, "object"},
	{"POST", "/zone", `{}`, 405, "POST can't be done"},

	// Rules: direction and protocol.
	{"POST", rules, `{}`, 400, "flow-direction:"},
	{"POST", rules, `{"protocol":"tcp","network":"0.0.0.0/0"}`, 400, "flow-direction:"},
	{"POST", rules, `{"flow-direction":"in","protocol":"tcp","network":"0.0.0.0/0"}`, 400, "flow-direction:"},
	{"POST", rules, `{"flow-direction":1,"protocol":"tcp","network":"0.0.0.0/0"}`, 400, "flow-direction: is a number"},
	{"POST", rules, ingress(`"network":"0.0.0.0/0"`), 400, "protocol:"},
	{"POST", rules, ingress(`"protocol":"sctp","network":"0.0.0.0/0"`), 400, "protocol:"},
	{"POST", rules, ingress(`"protocol":"6","network":"0.0.0.0/0"`), 400, "protocol:"},
	{"POST", rules, ingress(`"protocol":6,"network":"0.0.0.0/0"`), 400, "protocol: is a number"},
	{"POST", rules, ingress(`"protocol":"any","network":"0.0.0.0/0"`), 400, "protocol:"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"0.0.0.0/0","description":"` + long256 + `"`), 400, "description:"},

	// Rules: ports.
	{"POST", rules, ingress(`"protocol":"tcp","network":"0.0.0.0/0","start-port":0,"end-port":0`), 400, "start-port: 0 is out of range"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"0.0.0.0/0","start-port":0,"end-port":80`), 400, "start-port: 0 is out of range"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"0.0.0.0/0","start-port":-1,"end-port":80`), 400, "start-port: -1 is out of range"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"0.0.0.0/0","start-port":80,"end-port":65536`), 400, "end-port: 65536 is out of range"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"0.0.0.0/0","start-port":65617,"end-port":65617`), 400, "start-port: 65617 is out of range"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"0.0.0.0/0","start-port":99999999999999999999,"end-port":80`), 400, "start-port: is 99999999999999999999"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"0.0.0.0/0","start-port":90,"end-port":80`), 400, "end-port: 80 is below"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"0.0.0.0/0","start-port":80`), 400, "end-port: is missing"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"0.0.0.0/0","end-port":80`), 400, "start-port: is missing"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"0.0.0.0/0","start-port":"80","end-port":80`), 400, "start-port: is a string"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"0.0.0.0/0","start-port":80.5,"end-port":81`), 400, "start-port: is 80.5"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"0.0.0.0/0","start-port":1e2,"end-port":100`), 400, "start-port: is 1e2"},
	{"POST", rules, ingress(`"protocol":"icmp","network":"0.0.0.0/0","start-port":8,"end-port":8`), 400, "start-port: icmp has no ports"},
	{"POST", rules, ingress(`"protocol":"ah","network":"0.0.0.0/0","start-port":1,"end-port":1`), 400, "start-port: ah has no ports"},
	{"POST", rules, ingress(`"protocol":"esp","network":"0.0.0.0/0","start-port":1,"end-port":1`), 400, "start-port: esp has no ports"},
	{"POST", rules, ingress(`"protocol":"gre","network":"0.0.0.0/0","start-port":1,"end-port":1`), 400, "start-port: gre has no ports"},
	{"POST", rules, ingress(`"protocol":"ipip","network":"0.0.0.0/0","start-port":1,"end-port":1`), 400, "start-port: ipip has no ports"},

	// Rules: ICMP.
	{"POST", rules, ingress(`"protocol":"tcp","network":"0.0.0.0/0","icmp":{"type":8,"code":0}`), 400, "icmp: tcp has no ICMP"},
	{"POST", rules, ingress(`"protocol":"gre","network":"0.0.0.0/0","icmp":{}`), 400, "icmp: gre has no ICMP"},
	{"POST", rules, ingress(`"protocol":"icmp","network":"0.0.0.0/0","icmp":{"type":256,"code":0}`), 400, "icmp.type: 256 is out of range"},
	{"POST", rules, ingress(`"protocol":"icmp","network":"0.0.0.0/0","icmp":{"type":-2,"code":0}`), 400, "icmp.type: -2 is out of range"},
	{"POST", rules, ingress(`"protocol":"icmp","network":"0.0.0.0/0","icmp":{"type":8,"code":256}`), 400, "icmp.code: 256 is out of range"},
	{"POST", rules, ingress(`"protocol":"icmp","network":"0.0.0.0/0","icmp":{"type":-1,"code":0}`), 400, "icmp.type: code 0 needs a type"},
	{"POST", rules, ingress(`"protocol":"icmp","network":"0.0.0.0/0","icmp":{"code":3}`), 400, "icmp.type: code 3 needs a type"},
	{"POST", rules, ingress(`"protocol":"icmp","network":"0.0.0.0/0","icmp":{"type":"echo"}`), 400, "icmp.type: is a string"},
	{"POST", rules, ingress(`"protocol":"icmp","network":"0.0.0.0/0","icmp":8`), 400, "icmp: is a number"},
	{"POST", rules, ingress(`"protocol":"icmp","network":"::/0"`), 400, "protocol: icmp does not run over IPv6; write icmpv6"},
	{"POST", rules, ingress(`"protocol":"icmpv6","network":"0.0.0.0/0"`), 400, "protocol: icmpv6 does not run over IPv4; write icmp"},

	// Rules: peers.
	{"POST", rules, ingress(`"protocol":"tcp"`), 400, "network: is missing"},
	{"POST", rules, ingress(`"protocol":"tcp","network":""`), 400, "network: is missing"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"0.0.0.0/0","security-group":{"id":"{web}"}`), 400, "network: is given beside security-group"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"10.0.0.1/8"`), 400, "network: 10.0.0.1/8 has host bits set; write 10.0.0.0/8"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"2001:db8::1/32"`), 400, "network: 2001:db8::1/32 has host bits set; write 2001:db8::/32"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"10.0.0.0/33"`), 400, "network:"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"10.0.0.0/-1"`), 400, "network:"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"10.0.0.0/08"`), 400, "network:"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"10.0.0/8"`), 400, "network:"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"010.0.0.0/8"`), 400, "network:"},
	{"POST", rules, ingress(`"protocol":"tcp","network":" 10.0.0.0/8"`), 400, "network:"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"::ffff:10.0.0.0/104"`), 400, "network: ::ffff:10.0.0.0/104 is IPv4 written as IPv6; write 10.0.0.0/8"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"::ffff:0:0/95"`), 400, "network:"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"fe80::%eth0/64"`), 400, "network:"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"everywhere"`), 400, "network:"},
	{"POST", rules, ingress(`"protocol":"tcp","network":10`), 400, "network: is a number"},
	{"POST", rules, ingress(`"protocol":"tcp","security-group":{}`), 400, "security-group.id: is missing"},
	{"POST", rules, ingress(`"protocol":"tcp","security-group":"web"`), 400, "security-group: is a string"},
	{"POST", rules, ingress(`"protocol":"tcp","security-group":{"id":"web"}`), 400, "security-group.id:"},
	{"POST", rules, ingress(`"protocol":"tcp","security-group":{"id":"{gone}"}`), 404, "security group"},
	{"POST", rules, ingress(`"protocol":"tcp","security-group":{"name":"nobody"}`), 404, "security group"},
	{"POST", rules, ingress(`"protocol":"tcp","security-group":{"id":"{web}","name":"app"}`), 400, "security-group.name:"},
	{"POST", rules, ingress(`"protocol":"tcp","security-group":{"name":"web","visibility":"public"}`), 400, "security-group.visibility:"},
	{"POST", rules, ingress(`"protocol":"tcp","security-group":{"name":"web","visibility":"mine"}`), 400, "security-group.visibility:"},
	{"POST", rules, ingress(`"protocol":"tcp","network":"192.0.2.0/24","start-port":22,"end-port":22,"description":"again"`), 409, "{rule}"},
	{"POST", rules, ingress(`"protocol":"TCP","network":"192.0.2.0/24","start-port":22,"end-port":22,"description":"other"`), 409, "{rule}"},

	// Several rules at once.
	{"POST", batch, `{}`, 400, "rules: is missing"},
	{"POST", batch, `{"rules":[]}`, 400, "rules: are 0"},
	{"POST", batch, `{"rules":{}}`, 400, "rules: is an object"},
	{"POST", batch, `{"rules":[null]}`, 400, "rules[0]: is null"},
	{"POST", batch, `{"rules":[` + strings.Repeat(ingress(`"protocol":"ah","network":"0.0.0.0/0"`)+`,`, 100) + ingress(`"protocol":"ah","network":"0.0.0.0/0"`) + `]}`, 400, "rules: are 101"},
	{"POST", batch, `{"rules":[` + ingress(`"protocol":"ah","network":"0.0.0.0/0"`) + `,` + ingress(`"protocol":"ah","network":"0.0.0.0/0"`) + `]}`, 400, "rules[1]: is the same as rules[0]"},
	{"POST", batch, `{"rules":[` + ingress(`"protocol":"ah","network":"0.0.0.0/0"`) + `,` + ingress(`"protocol":"ah","network":"0.0.0.1/0"`) + `]}`, 400, "rules[1].network:"},
	{"POST", batch, `{"rules":[` + ingress(`"protocol":"ah","network":"0.0.0.0/0"`) + `,` + ingress(`"protocol":"tcp","network":"192.0.2.0/24","start-port":22,"end-port":22`) + `]}`, 409, "{rule}"},
	{"POST", batch, `{"rules":[` + ingress(`"protocol":"ah","network":"0.0.0.0/0","priority":1`) + `]}`, 400, "rules[0].priority: is not a field"},
	{"POST", batch, `{"dry-run":true,"rules":[]}`, 400, "dry-run: is not a field"},

	// External sources and members.
	{"PUT", "/security-group/{web}:add-source", `{}`, 400, "cidr:"},
	{"PUT", "/security-group/{web}:add-source", `{"cidr":"10.0.0.1/8"}`, 400, "cidr: 10.0.0.1/8 has host bits set; write 10.0.0.0/8"},
	{"PUT", "/security-group/{web}:add-source", `{"cidr":["10.0.0.0/8"]}`, 400, "cidr: is an array"},
	{"PUT", "/security-group/{web}:add-source", `{"cidr":"::ffff:10.0.0.1"}`, 400, "cidr:"},
	{"PUT", "/security-group/{web}:remove-source", `{"cidr":"10.0.0.0/8"}`, 404, "external source"},
	{"PUT", "/security-group/{web}:attach", `{}`, 400, "instance.id: is missing"},
	{"PUT", "/security-group/{web}:attach", `{"instance":{}}`, 400, "instance.id: is missing"},
	{"PUT", "/security-group/{web}:attach", `{"instance":"{instance}"}`, 400, "instance: is a string"},
	{"PUT", "/security-group/{web}:attach", `{"instance":{"id":"i"}}`, 400, "instance.id:"},
	{"PUT", "/security-group/{web}:attach", `{"instance":{"id":"../{instance}"}}`, 400, "instance.id:"},
	{"PUT", "/security-group/{default}:attach", `{"instance":{"id":"{instance}"}}`, 409, "instance"},
	{"PUT", "/security-group/{default}:detach", `{"instance":{"id":"{instance}"}}`, 409, "security group"},
	{"PUT", "/security-group/{web}:detach", `{"instance":{"id":"{instance}"}}`, 409, "instance"},

	// Instances.
	{"POST", instances, `{}`, 400, "name: is empty"},
	{"POST", instances, `{"name":"` + long256 + `"}`, 400, "name: has 256"},
	{"POST", instances, `{"name":"i","security-groups":"web"}`, 400, "security-groups: is a string"},
	{"POST", instances, `{"name":"i","security-groups":[{}]}`, 400, "security-groups[0].id: is missing"},
	{"POST", instances, `{"name":"i","security-groups":[{"id":"web"}]}`, 400, "security-groups[0].id:"},
	{"POST", instances, `{"name":"i","security-groups":[{"id":"{gone}"}]}`, 404, "security group"},
	{"POST", instances, `{"name":"i","security-groups":[{"id":"{web}"},{"id":"{web}"}]}`, 400, "security-groups:"},
	{"POST", instances, `{"name":"i","labels":["a"]}`, 400, "labels: is an array"},
	{"POST", instances, `{"name":"i","labels":{"a":1}}`, 400, "labels"},
	{"POST", instances, `{"name":"i","labels":{"":"a"}}`, 400, "labels: is empty"},
	{"POST", instances, `{"name":"i","labels":{"a":"` + long256 + `"}}`, 400, "labels.a: has 256"},
	{"POST", instances, `{"name":"i","host":"nobody"}`, 400, "host:"},
	{"POST", instances, `{"name":"i","host":"../etc"}`, 400, "host:"},
	{"POST", instances, `{"name":"i","interfaces":[{"name":"tap0","mac":"52:54:00:00:00:01"}]}`, 400, "host: is missing"},
	{"POST", instances, on(`{}`), 400, "interfaces[0].mac:"},
	{"POST", instances, on(`{"name":"tap0"}`), 400, "interfaces[0].mac:"},
	{"POST", instances, on(`{"name":"tap0","mac":"01:00:5e:00:00:01"}`), 400, "interfaces[0].mac: 01:00:5e:00:00:01 is not a unicast address"},
	{"POST", instances, on(`{"name":"tap0","mac":"00:00:00:00:00:00"}`), 400, "interfaces[0].mac:"},
	{"POST", instances, on(`{"name":"tap0","mac":"52:54:00:00:00:00:00:01"}`), 400, "interfaces[0].mac:"},
	{"POST", instances, on(`{"mac":"52:54:00:00:00:01"}`), 400, "interfaces[0].name:"},
	{"POST", instances, on(`{"name":"a-name-of-16-byt","mac":"52:54:00:00:00:01"}`), 400, "interfaces[0].name:"},
	{"POST", instances, on(`{"name":"../tap0","mac":"52:54:00:00:00:01"}`), 400, "interfaces[0].name:"},
	{"POST", instances, on(`{"name":"tap0","mac":"52:54:00:00:00:01","ipv4":["10.0.0.1/24"]}`), 400, "interfaces[0].ipv4[0]:"},
	{"POST", instances, on(`{"name":"tap0","mac":"52:54:00:00:00:01","ipv4":["2001:db8::1"]}`), 400, "interfaces[0].ipv4[0]:"},
	{"POST", instances, on(`{"name":"tap0","mac":"52:54:00:00:00:01","ipv6":["10.0.0.1"]}`), 400, "interfaces[0].ipv6[0]:"},
	{"POST", instances, on(`{"name":"tap0","mac":"52:54:00:00:00:01","ipv6":["::ffff:10.0.0.1"]}`), 400, "interfaces[0].ipv6"},
	{"POST", instances, on(`{"name":"tap0","mac":"52:54:00:00:00:01","ipv4":["0.0.0.0"]}`), 400, "interfaces[0].ipv4"},
	{"POST", instances, on(`{"name":"tap0","mac":"52:54:00:00:00:01","ipv4":["224.0.0.1"]}`), 400, "interfaces[0].ipv4"},
	{"POST", instances, on(`{"name":"tap0","mac":"52:54:00:00:00:01","ipv4":["255.255.255.255"]}`), 400, "interfaces[0].ipv4"},
	{"POST", instances, on(`{"name":"tap0","mac":"52:54:00:00:00:01","ipv4":["10.0.0.1","10.0.0.1"]}`), 400, "interfaces[0]:"},
	{"POST", instances, on(`{"name":"tap0","mac":"52:54:00:00:00:01","ipv4":"10.0.0.1"}`), 400, "interfaces.ipv4: is a string"},
	{"POST", instances, on(strings.Repeat(`{"name":"tap0","mac":"52:54:00:00:00:01"},`, 8) + `{"name":"tap0","mac":"52:54:00:00:00:01"}`), 400, "interfaces: has 9"},
	{"PUT", "/instance/{instance}", `{"name":""}`, 400, "name: is empty"},
	{"PUT", "/instance/{instance}", `{"host":"nobody"}`, 400, "host:"},
	{"PUT", "/instance/{instance}", `{"interfaces":[{"name":"tap0","mac":"52:54:00:00:00:01"}]}`, 400, "host: is missing"},
	{"GET", "/instance?ip-address=ten", ``, 400, "ip-address:"},
	{"GET", "/instance?labels=role", ``, 400, "labels:"},
	{"POST", "/ssh-key", `{"public-key":"ssh-ed25519 AAAA"}`, 400, "name: is empty"},
	{"POST", "/ssh-key", `{"name":"mine"}`, 400, "public-key: is missing"},

	// Hosts and tokens.
	{"POST", "/host-token", `{}`, 400, "host:"},
	{"POST", "/host-token", `{"host":"a/b"}`, 400, "host:"},
	{"POST", "/host-token", `{"host":".."}`, 400, "host:"},
	{"POST", "/host-token", `{"host":"` + strings.Repeat("h", 64) + `"}`, 400, "host:"},
	{"POST", "/host-token", `{"host":"hv1","lifetime":"1y"}`, 400, "lifetime: is not a field"},

	// Explanations.
	{"POST", explain, `{}`, 400, "from: is missing"},
	{"POST", explain, `{"from":"192.0.2.1","to":"i1","protocol":"tcp"}`, 400, "port: is missing"},
	{"POST", explain, `{"from":"192.0.2.1","to":"192.0.2.2","protocol":"tcp","port":65536}`, 400, "port: 65536 is out of range"},
	{"POST", explain, `{"from":"192.0.2.1","to":"192.0.2.2","protocol":"gre","port":1}`, 400, "port: gre has no ports"},
	{"POST", explain, `{"from":"192.0.2.1","to":"192.0.2.2","protocol":"udp","port":1,"icmp":{"type":8,"code":0}}`, 400, "icmp: udp has no ICMP"},
	{"POST", explain, `{"from":"192.0.2.1","to":"192.0.2.2","protocol":"icmp","icmp":{"type":256,"code":0}}`, 400, "icmp.type: 256"},
	{"POST", explain, `{"from":"192.0.2.1","to":"2001:db8::1","protocol":"tcp","port":1}`, 400, "to: "},
	{"POST", explain, `{"from":"192.0.2.1","to":"192.0.2.2","protocol":"icmpv6"}`, 400, "to: "},
	{"POST", explain, `{"from":"nobody","to":"192.0.2.2","protocol":"gre"}`, 404, "instance or address"},
	{"POST", explain, `{"from":"192.0.2.1","to":"i1","protocol":"gre"}`, 400, "to: instance"},
	{"POST", explain, `{"from":"::ffff:192.0.2.1","to":"192.0.2.2","protocol":"gre"}`, 400, "from: write"},
	{"POST", explain, `{"from":"192.0.2.1","to":"192.0.2.2","protocol":"gre","verbose":true}`, 400, "verbose: is not a field"},
}

func TestMalformedRequests(t *testing.T) {
	r := start(t)
	ids := []string{"{gone}", "00000000-0000-4000-8000-000000000000", "{default}", r.defaultGroup(t)}
	add := func(name, id string) { ids = append(ids, name, id) }
	add("{web}", r.createGroup(t, "web"))
	named := strings.NewReplacer(ids...)
	r.reference(t, "POST", named.Replace(rules), ingress(`"protocol":"tcp","network":"192.0.2.0/24","start-port":22,"end-port":22`))
	add("{rule}", r.onlyRule(t, named.Replace("/security-group/{web}")))
	add("{instance}", r.reference(t, "POST", "/instance", `{"name":"i1"}`))
	add("{org}", r.say(t, "GET", "/session", "").body["organization"].(map[string]any)["id"].(string))
	add("{key}", r.env["EXOSCALE_API_KEY"])
	add("{nokey}", "EXO000000000000000000000000")
	named = strings.NewReplacer(ids...)

	all := slices.Concat(malformations, hostilities, mistyped())
	fmt.Printf("%d malformed and hostile requests\n", len(all))
	before := r.everything(t)
	for _, m := range all {
		body := named.Replace(m.body)
		t.Run(m.method+" "+m.route+" "+shorten(body), func(t *testing.T) {
			a := r.say(t, m.method, named.Replace(m.route), body)
			if a.status != m.status {
				t.Errorf("got %d %s, want %d", a.status, a.text, m.status)
			}
			if !mentions(a.message(), named.Replace(m.names)) {
				t.Errorf("the message is %q, want one about %q", a.message(), m.names)
			}
			if m.status == http.StatusMethodNotAllowed && a.header.Get("Allow") == "" {
				t.Error("the answer does not say which methods are allowed")
			}
			if after := r.everything(t); after != before {
				t.Errorf("the request changed something:\n%s\n%s", before, after)
				before = after
			}
		})
	}
}

// mentions tells whether the message begins with what; an id may be anywhere in it.
func mentions(message, what string) bool {
	if len(what) == len("00000000-0000-4000-8000-000000000000") && !strings.Contains(what, " ") {
		return strings.Contains(message, what)
	}
	return strings.HasPrefix(message, what)
}

func shorten(s string) string {
	if len(s) > 100 {
		return s[:100]
	}
	return s
}

// everything is what there is, as text, but for when keys were used.
func (r *running) everything(t *testing.T) (text string) {
	t.Helper()
	for _, list := range []string{"/security-group", "/instance", "/host", "/organization", "/api-key", "/quota"} {
		text += anyUse.ReplaceAllString(r.say(t, "GET", list, "").text, "")
	}
	return text
}

func (r *running) defaultGroup(t *testing.T) string {
	t.Helper()
	first := r.say(t, "GET", "/security-group", "").body["security-groups"].([]any)[0].(map[string]any)
	if first["name"] != "default" || first["primary"] != true {
		t.Fatalf("the first group is %v, want the default one, as primary", first)
	}
	return first["id"].(string)
}

func (r *running) onlyRule(t *testing.T, group string) string {
	t.Helper()
	a := r.say(t, "GET", group, "")
	return a.body["rules"].([]any)[0].(map[string]any)["id"].(string)
}
