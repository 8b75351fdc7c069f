package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const webFile = `name: web
description: what faces the internet
ingress:
  - protocol: tcp
    ports: 22
    from: 203.0.113.0/24
    description: office
  - protocol: icmp
    icmp:
      type: 8
      code: 0
    from-group: db
egress:
  - protocol: udp
    ports: 53
    to: ::/0
`

func TestExport(t *testing.T) {
	got := newStub(t, world()).gabion("group", "export", "web")
	if diff := cmp.Diff(result{0, webFile, ""}, got, cmp.AllowUnexported(result{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestApply(t *testing.T) {
	for _, test := range []struct {
		name, file string
		args       []string
		asks       []string
		want       result
	}{
		{"what is there already", webFile, nil, nil, result{0, "web: nothing to change\n", ""}},
		{
			"a difference that is only shown",
			strings.Replace(webFile, "ports: 22", "ports: [443, 8000-8100]", 1),
			[]string{"--dry-run"},
			nil,
			result{0, `web: keeps 2 rules
  - ingress tcp 22 from 203.0.113.0/24 (office)
  + ingress tcp 443 from 203.0.113.0/24 (office)
  + ingress tcp 8000-8100 from 203.0.113.0/24 (office)
`, ""},
		},
		{
			"a difference",
			"name: db\ningress:\n  - {protocol: tcp, ports: 5432, from-group: web}\n",
			nil,
			[]string{"PUT /security-group/" + dbID +
				`/rules {"rules":[{"end-port":5432,"flow-direction":"ingress","protocol":"tcp","security-group":{"id":"` + webID + `"},"start-port":5432}]}`},
			result{0, "db: keeps no rules\n  + ingress tcp 5432 from group web\ndb: 1 rule added, no rules deleted; enforced\n", ""},
		},
		{
			"another description", "name: db\ndescription: the data\n",
			nil,
			[]string{"PUT /security-group/" + dbID + ` {"description":"the data"}`},
			result{0, "db: keeps no rules\n  ~ description \"the data\"\ndb: described anew\n", ""},
		},
		{
			"groups that name each other, one of them new",
			"name: app\ningress:\n  - {protocol: tcp, from-group: app}\n---\nname: db\ningress:\n  - {protocol: tcp, from-group: app}\n",
			[]string{"--dry-run"},
			nil,
			result{0, "app: new\n  + ingress tcp all ports from group app\ndb: keeps no rules\n  + ingress tcp all ports from group app\n", ""},
		},
		{"a field that nobody knows", "name: web\ningres: []\n", nil, nil, result{1, "", `unknown field "ingres"`}},
		{"a group that nobody knows", "name: web\ningress: [{protocol: tcp, from-group: x}]\n", nil, nil, result{1, "", `group web, ingress rule 1: no group "x"`}},
		{"no peer", "name: web\ningress: [{protocol: tcp}]\n", nil, nil, result{1, "", "group web, ingress rule 1: give either from, a network, or from-group, a group"}},
		{"the wrong peer", "name: web\negress: [{protocol: tcp, from: '::/0'}]\n", nil, nil, result{1, "", "egress rules have to or to-group"}},
		{"ports backwards", "name: web\ningress: [{protocol: tcp, ports: 9-8, from: '::/0'}]\n", nil, nil, result{1, "", "port 9-8 runs backwards; write 8-9"}},
		{"a protocol that nobody knows", "name: x\ningress: [{protocol: tpc, from: '::/0'}]\n", nil, nil, result{1, "", `group x, ingress rule 1: protocol: "tpc" is not one of tcp`}},
		{"host bits", "name: x\negress: [{protocol: tcp, to: 10.0.0.1/8}]\n", nil, nil, result{1, "", "group x, egress rule 1: to: 10.0.0.1/8 has host bits set; write 10.0.0.0/8"}},
		{"ports of no ports", "name: x\ningress: [{protocol: gre, ports: 1, from-group: web}]\n", nil, nil, result{1, "", "gre has no ports"}},
		{"ICMP of the other family", "name: x\ningress: [{protocol: icmp, from: '::/0'}]\n", nil, nil, result{1, "", "write icmpv6 for ::/0"}},
		{
			"one address, as it is kept", "name: db\ningress: [{protocol: TCP, from: 203.0.113.7}]\n",
			nil,
			[]string{"PUT /security-group/" + dbID + `/rules {"rules":[{"flow-direction":"ingress","network":"203.0.113.7/32","protocol":"tcp"}]}`},
			result{0, "db: keeps no rules\n  + ingress tcp all ports from 203.0.113.7/32\ndb: 1 rule added, no rules deleted; enforced\n", ""},
		},
		{"no name", "description: x\n", nil, nil, result{1, "", "group 1 has no name"}},
		{"nothing", "", nil, nil, result{1, "", "holds no group"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			answers := world()
			answers["PUT /security-group/"+dbID+"/rules"] = answers["POST /security-group"]
			answers["PUT /security-group/"+dbID] = answers["POST /security-group"]
			s := newStub(t, answers)
			file := filepath.Join(t.TempDir(), "groups.yaml")
			if err := os.WriteFile(file, []byte(test.file), 0o600); err != nil {
				t.Fatal(err)
			}
			got := s.gabion(append([]string{"apply", file}, test.args...)...)
			if got.code != test.want.code || got.stdout != test.want.stdout || !strings.Contains(got.stderr, test.want.stderr) {
				t.Errorf("got %+v\nwant %+v", got, test.want)
			}
			if diff := cmp.Diff(test.asks, s.changes); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
		})
	}
}
