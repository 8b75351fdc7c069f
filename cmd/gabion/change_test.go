package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChangingCommands(t *testing.T) {
	const add = "POST /security-group/" + webID + "/rules "
	const batch = "POST /security-group/" + webID + "/rules:batch "
	for _, test := range []struct {
		name string
		args []string
		asks []string
		want result
	}{
		{
			"a group",
			[]string{"group", "create", "app", "--description", "the machines"},
			[]string{`POST /security-group {"description":"the machines","name":"app"}`},
			result{0, "group app created: ingress closed, egress open\n", ""},
		},
		{
			"a group's new name",
			[]string{"group", "rename", "web", "front"},
			[]string{"PUT /security-group/" + webID + ` {"name":"front"}`},
			result{0, "group web is now called front; rules that name it still do\n", ""},
		},
		{
			"a group's new description",
			[]string{"group", "rename", "web", "--description", ""},
			[]string{"PUT /security-group/" + webID + ` {"description":""}`},
			result{0, "group web described anew\n", ""},
		},
		{
			"no group any more",
			[]string{"group", "delete", "db"},
			[]string{"DELETE /security-group/" + dbID},
			result{0, "group db deleted\n", ""},
		},
		{
			"a group in use",
			[]string{"group", "delete", "web"},
			[]string{"DELETE /security-group/" + webID},
			result{1, "", "gabion: group web is in use: instance web1 belongs to it\n"},
		},
		{
			"the primary group",
			[]string{"group", "make-primary", "db"},
			[]string{"PUT /security-group/" + dbID + ":make-primary"},
			result{0, "group db is primary: new instances that name no group get it\n", ""},
		},
		{
			"a source",
			[]string{"group", "add-source", "db", "203.0.113.0/24"},
			[]string{"PUT /security-group/" + dbID + `:add-source {"cidr":"203.0.113.0/24"}`},
			result{0, "203.0.113.0/24 counts as a member of db; enforced\n", ""},
		},
		{
			"no source any more",
			[]string{"group", "remove-source", "db", "203.0.113.0/24"},
			[]string{"PUT /security-group/" + dbID + `:remove-source {"cidr":"203.0.113.0/24"}`},
			result{0, "203.0.113.0/24 no longer counts as a member of db; enforced\n", ""},
		},
		{
			"no rule any more",
			[]string{"rule", "delete", "web", "7100"},
			[]string{"DELETE /security-group/" + webID + "/rules/" + ruleID},
			result{0, "rule 71000000 deleted from web: ingress tcp 22 from 203.0.113.0/24; enforced\n", ""},
		},
		{
			"a membership",
			[]string{"instance", "attach", "web1", "web"},
			[]string{"PUT /security-group/" + webID + `:attach {"instance":{"id":"1a000000-0000-4000-8000-000000000000"}}`},
			result{0, "instance web1 belongs to group web; enforced\n", ""},
		},
		{
			"a refused change of groups",
			[]string{"instance", "detach", "web1", "web"},
			[]string{"PUT /security-group/" + webID + `:detach {"instance":{"id":"1a000000-0000-4000-8000-000000000000"}}`},
			result{1, "", "gabion: web1 is running; stop it first\n"},
		},
		{
			"no instance any more",
			[]string{"instance", "delete", "1a00"},
			[]string{"DELETE /instance/1a000000-0000-4000-8000-000000000000"},
			result{0, "instance web1 deleted; enforced\n", ""},
		},
		{
			"a started instance",
			[]string{"instance", "start", "web1"},
			[]string{"PUT /instance/1a000000-0000-4000-8000-000000000000:start"},
			result{0, "instance web1 is running\n", ""},
		},
		{
			"a stopped instance",
			[]string{"instance", "stop", "web1"},
			[]string{"PUT /instance/1a000000-0000-4000-8000-000000000000:stop"},
			result{0, "instance web1 is stopped\n", ""},
		},
		{
			"an instance", strings.Fields("instance create web1 --host hv1 --interface vnet0 --mac 52:54:00:12:34:56 --ip 192.0.2.21,2001:DB8::21 --group web --label role=front"),
			[]string{`POST /instance {"host":"hv1","interfaces":[{"ipv4":["192.0.2.21"],"ipv6":["2001:db8::21"],"mac":"52:54:00:12:34:56","name":"vnet0"}],` +
				`"labels":{"role":"front"},"name":"web1","security-groups":[{"id":"` + webID + `"}]}`},
			result{0, "instance web1 created in web; enforced\n", ""},
		},
		{
			"an instance with two interfaces", strings.Fields("instance create gw --host hv1 --interface a --mac 52:54:00:00:00:01 --ip 192.0.2.22 --interface b --mac 52:54:00:00:00:02 --ip 10.0.0.1,10.0.0.2"),
			[]string{`POST /instance {"host":"hv1","interfaces":[{"ipv4":["192.0.2.22"],"mac":"52:54:00:00:00:01","name":"a"},` +
				`{"ipv4":["10.0.0.1","10.0.0.2"],"mac":"52:54:00:00:00:02","name":"b"}],"name":"gw"}`},
			result{0, "instance gw created in web; enforced\n", ""},
		},
		{
			"an instance that has moved", strings.Fields("instance update web1 --host hv2 --interface vnet3 --mac 52:54:00:12:34:56 --ip 192.0.2.21"),
			[]string{`PUT /instance/1a000000-0000-4000-8000-000000000000 {"host":"hv2","interfaces":[{"ipv4":["192.0.2.21"],"mac":"52:54:00:12:34:56","name":"vnet3"}]}`},
			result{0, "instance web1 changed; enforced\n", ""},
		},
		{
			"no host any more",
			[]string{"host", "delete", "hv2"},
			[]string{"DELETE /host/hv2"},
			result{0, "host hv2 deleted\n", ""},
		},
		{
			"a rule with everything", strings.Fields("rule add web --protocol TCP --port 80,8000-8100 --from 203.0.113.0/24,db --description front"),
			[]string{batch + `{"rules":[` + strings.Join([]string{
				`{"description":"front","end-port":80,"flow-direction":"ingress","network":"203.0.113.0/24","protocol":"tcp","start-port":80}`,
				`{"description":"front","end-port":8100,"flow-direction":"ingress","network":"203.0.113.0/24","protocol":"tcp","start-port":8000}`,
				`{"description":"front","end-port":80,"flow-direction":"ingress","protocol":"tcp","security-group":{"id":"` + dbID + `"},"start-port":80}`,
				`{"description":"front","end-port":8100,"flow-direction":"ingress","protocol":"tcp","security-group":{"id":"` + dbID + `"},"start-port":8000}`,
			}, ",") + `]}`},
			result{0, "rule 74000000 added to web: ingress tcp all ports from 0.0.0.0/0; enforced\n", ""},
		},
		{
			"a template for everyone", strings.Fields("rule add web --template PING"),
			[]string{batch + `{"rules":[{"flow-direction":"ingress","icmp":{"code":0,"type":8},"network":"0.0.0.0/0","protocol":"icmp"},` +
				`{"flow-direction":"ingress","icmp":{"code":0,"type":128},"network":"::/0","protocol":"icmpv6"}]}`},
			result{0, "rule 74000000 added to web: ingress tcp all ports from 0.0.0.0/0; enforced\n", ""},
		},
		{
			"a template for a group, outwards", strings.Fields("rule add web --template ssh --to-group db"),
			[]string{add + `{"end-port":22,"flow-direction":"egress","protocol":"tcp","security-group":{"id":"` + dbID + `"},"start-port":22}`},
			result{0, "rule 74000000 added to web: ingress tcp all ports from 0.0.0.0/0; enforced\n", ""},
		},
		{
			"ICMP of all types", strings.Fields("rule add web --protocol icmp --to 8.8.8.8"),
			[]string{add + `{"flow-direction":"egress","icmp":{"code":-1,"type":-1},"network":"8.8.8.8/32","protocol":"icmp"}`},
			result{0, "rule 74000000 added to web: ingress tcp all ports from 0.0.0.0/0; enforced\n", ""},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newStub(t, world())
			got := s.gabion(test.args...)
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(result{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.asks, s.changes); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSeveralAddedRulesAreListed(t *testing.T) {
	answers := world()
	path := "GET /security-group/" + webID
	answers[path] = strings.Replace(answers[path], `"rules":[`,
		`"rules":[{"id":"75000000-0000-4000-8000-000000000000","flow-direction":"ingress","protocol":"tcp","start-port":80,"end-port":80,"network":"::/0"},`, 1)
	got := newStub(t, answers).gabion("rule", "add", "web", "--protocol", "tcp", "--from", "0.0.0.0/0")
	want := result{0, `2 rules added to web; enforced
  75000000  ingress tcp 80 from ::/0
  74000000  ingress tcp all ports from 0.0.0.0/0
`, ""}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(result{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTokenAloneGoesToStandardOutput(t *testing.T) {
	got := newStub(t, world()).gabion("host", "token", "hv1")
	if got.code != 0 || got.stdout != "hv1.secret.hash\n" || !strings.HasPrefix(got.stderr, "gabion: note: hv1 joins with it once") {
		t.Errorf("exit %d, %q, %q", got.code, got.stdout, got.stderr)
	}
}

func TestChangesThatHostsHaveYetToEnforce(t *testing.T) {
	answers := world()
	answers["DELETE /security-group/"+webID+"/rules/"+ruleID] = answers["GET /operation/0c000000-0000-4000-8000-000000000000"]
	got := newStub(t, answers).gabion("rule", "delete", "web", ruleID, "--wait", "1ms")
	want := result{
		1, "rule 71000000 deleted from web: ingress tcp 22 from 203.0.113.0/24\n",
		"gabion: not enforced everywhere yet: waiting for hosts hv2 to enforce it; gabion operation show 0c000000-0000-4000-8000-000000000000 tells when it is\n",
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(result{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhoDoesNotWaitIsNotRefused(t *testing.T) {
	answers := world()
	answers["DELETE /security-group/"+webID+"/rules/"+ruleID] = answers["GET /operation/0c000000-0000-4000-8000-000000000000"]
	got := newStub(t, answers).gabion("rule", "delete", "web", ruleID, "--wait", "0")
	want := result{
		0, "rule 71000000 deleted from web: ingress tcp 22 from 203.0.113.0/24\n",
		"gabion: note: waiting for hosts hv2 to enforce it\n",
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(result{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWarningsOfTheServerAreShown(t *testing.T) {
	answers := world()
	path := "DELETE /security-group/" + webID + "/rules/" + ruleID
	answers[path] = strings.Replace(answers[path], `"state"`, `"message":"all egress is open now","state"`, 1)
	got := newStub(t, answers).gabion("rule", "delete", "web", ruleID)
	if got.code != 0 || got.stderr != "gabion: note: all egress is open now\n" {
		t.Errorf("exit %d, %q", got.code, got.stderr)
	}
}
