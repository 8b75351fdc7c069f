package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadingCommands(t *testing.T) {
	s := newStub(t, world())
	for _, test := range []struct {
		args string
		want string
	}{
		{"group list", `
NAME          INGRESS  EGRESS  ID        DESCRIPTION
db (primary)  closed   open    6b000000
web           2 rules  1 rule  5a9a3c5e  what faces the internet
`},
		{"group show web", `
Name         web
ID           5a9a3c5e-7c0e-4f3c-9a4c-0c8f2f0f1a11
Description  what faces the internet
Members      web1

Ingress
  tcp 22             from 203.0.113.0/24  71000000  office
  icmp echo request  from group db        73000000

Egress
  udp 53  to ::/0  72000000
`},
		{"group show 6b00", `
Name     db
ID       6b000000-0000-4000-8000-000000000000
Primary  yes: instances that name no group get this one
Sources  192.0.2.0/24
Members  none

Ingress
  closed: nothing comes in

Egress
  open: everything goes out, until the first egress rule
`},
		{"group usage web", `
USED BY   NAME  HOW
instance  web1  member
`},
		{"group usage db", `
Nobody uses db. Delete it: gabion group delete db
`},
		{"rule list web", `
ID        DIRECTION  ALLOWS             PEER                 DESCRIPTION
71000000  ingress    tcp 22             from 203.0.113.0/24  office
73000000  ingress    icmp echo request  from group db
72000000  egress     udp 53             to ::/0
`},
		{"rule list db", `
db has no rules: nothing comes in, everything goes out. Open a port: gabion rule add db --template ssh
`},
		{"rule templates", `
NAME  ALLOWS                                  DESCRIPTION
ping  icmp echo request, icmpv6 echo request  Echo requests.
ssh   tcp 22                                  Secure shell.
`},
		{"instance show web1", `
Name    web1
ID      1a000000-0000-4000-8000-000000000000
State   running
Host    hv1
Groups  web
Labels  role=front

Interfaces
  vnet0  52:54:00:12:34:56  192.0.2.21, 2001:db8::21
`},
		{"instance list", `
NAME  STATE    HOST  ADDRESSES                 GROUPS  ID
web1  running  hv1   192.0.2.21, 2001:db8::21  web     1a000000
twin  running  hv1   192.0.2.21, 2001:db8::21  web     1b000000
twin  running  hv1   192.0.2.21, 2001:db8::21  web     1c000000
`},
		{"host list", `
NAME  STATE    REVISION  ENFORCED  TOOK  INSTANCES  LAST SEEN  VERSION  ERROR
hv1   online   42        -         -     3          3 s ago    v1
hv2   waiting  0         -         -     0          never      -
`},
		{"host show hv1", `
Name         hv1
State        online
Joined       59 days ago
Last seen    3 s ago
Version      v1
Instances    3
Revision     42
Enforced     -
Took         -
Policy       -
Programs     -
Protection   -
Unprotected  -
Repairs      0
`},
		{"host receipts", `
HOST  CURRENT  REVISION  ENFORCED   TOOK   POLICY
hv1   yes      42        2 min ago  12 ms  f93f4389
hv2   behind   0         -          -      -
`},
		{"operation show 0c000000-0000-4000-8000-000000000000", `
ID       0c000000-0000-4000-8000-000000000000
State    pending: made, but not enforced everywhere yet
Asked    add-rules-to-security-group
Of       5a9a3c5e-7c0e-4f3c-9a4c-0c8f2f0f1a11
Message  waiting for hosts hv2 to enforce it
`},
	} {
		t.Run(test.args, func(t *testing.T) {
			got := s.gabion(strings.Fields(test.args)...)
			want := result{0, strings.TrimPrefix(test.want, "\n"), ""}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(result{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			asJSON := s.gabion(append(strings.Fields(test.args), "-o", "json")...)
			if asJSON.code != 0 || !json.Valid([]byte(asJSON.stdout)) {
				t.Errorf("-o json: exit %d, %s%s", asJSON.code, asJSON.stdout, asJSON.stderr)
			}
		})
	}
}

// Without quorum the server says so once with each answer, and the command line once.
func TestStaleAnswersAreSaidToBeStale(t *testing.T) {
	s := newStub(t, world())
	fresh := s.gabion("group", "show", "web")
	s.warning = `110 gabion "Response is Stale"`
	stale := s.gabion("group", "show", "web")
	if stale.code != 0 || stale.stdout != fresh.stdout || strings.Count(stale.stderr, "\n") != 1 || !strings.Contains(stale.stderr, "may be out of date") {
		t.Errorf("exit %d, %q", stale.code, stale.stderr)
	}
	if fresh.stderr != "" {
		t.Errorf("with quorum: %q", fresh.stderr)
	}
}

func TestNothingToShowSaysWhatToDo(t *testing.T) {
	s := newStub(t, map[string]string{
		"GET /security-group": `{"security-groups":[]}`,
		"GET /instance":       `{"instances":[]}`,
		"GET /host":           `{"hosts":[]}`,
	})
	for args, want := range map[string]string{
		"group list":    "No groups. Create one: gabion group create web\n",
		"instance list": "No instances. Register one: gabion instance create NAME --host H --interface IF --mac M --ip A --group G\n",
		"host list":     "No hosts. Let one join: gabion host token NAME\n",
	} {
		if got := s.gabion(strings.Fields(args)...); got.stdout != want || got.code != 0 {
			t.Errorf("%s: exit %d, %q", args, got.code, got.stdout)
		}
		if got := s.gabion(append(strings.Fields(args), "-o", "json")...); got.stdout != "[]\n" {
			t.Errorf("%s -o json: %q", args, got.stdout)
		}
	}
}

func TestJSONHasTheContractsFields(t *testing.T) {
	got := newStub(t, world()).gabion("rule", "list", "web", "-o", "json")
	var rules []map[string]any
	if err := json.Unmarshal([]byte(got.stdout), &rules); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"id": ruleID, "flow-direction": "ingress", "protocol": "tcp",
		"start-port": 22.0, "end-port": 22.0, "network": "203.0.113.0/24", "description": "office",
	}
	if diff := cmp.Diff(want, rules[0]); diff != "" {
		t.Errorf("first rule (-want +got):\n%s", diff)
	}
}

func TestExplain(t *testing.T) {
	const db1 = `{"address":"10.0.0.7","instance":{"id":"i","name":"db1"},`
	allowed := newStub(t, map[string]string{"GET /instance": world()["GET /instance"], "POST /explain": `{"allowed":true,"summary":"one sentence",
		"from":{"address":"203.0.113.7"},"to":` + db1 + `"verdict":"pass","reason":"rule","security-group":{"id":"g","name":"db"},
		"rule":{"id":"71000000-0000","flow-direction":"ingress","protocol":"tcp","start-port":22,"end-port":22,"network":"0.0.0.0/0"}}}`})
	got := allowed.gabion("explain", "--from", "203.0.113.7", "--to", "web1", "--protocol", "TCP", "--port", "22")
	want := result{0, `one sentence

  203.0.113.7     -     no instance of yours: decides nothing here
  ingress of db1  pass  rule 71000000 of group db: ingress tcp 22 from 0.0.0.0/0
`, ""}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(result{})); diff != "" {
		t.Errorf("allowed (-want +got):\n%s", diff)
	}
	asked := []string{`POST /explain {"from":"203.0.113.7","port":22,"protocol":"tcp","to":"web1"}`}
	if diff := cmp.Diff(asked, allowed.changes); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	denied := newStub(t, map[string]string{"GET /instance": world()["GET /instance"], "POST /explain": `{"allowed":false,"summary":"no rule","from":{"address":"203.0.113.7"},"to":` + db1 + `"verdict":"drop","reason":"denied-ingress"}}`})
	for _, format := range []string{"table", "json"} {
		got := denied.gabion("explain", "--from", "203.0.113.7", "--to", "web1", "--protocol", "icmp", "-o", format)
		if got.code != 1 || got.stderr != "" || !strings.Contains(got.stdout, "denied-ingress") {
			t.Errorf("denied, -o %s: exit %d, %s%s", format, got.code, got.stdout, got.stderr)
		}
	}
}
