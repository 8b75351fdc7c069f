package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const web1ID = "1a000000-0000-4000-8000-000000000000"

func seen() map[string]string {
	answers := world()
	answers["GET /rule-hit"] = `{"rule-hits":[{"rule":"` + ruleID + `","security-group":"` + webID + `","packets":7,"bytes":420,"packets-last-hour":3,"last-hit-at":"2026-03-01T11:59:00Z"}]}`
	answers["GET /instance/"+web1ID+"/drop"] = `{"drops":[{"interface":"vnet0","reason":"denied-ingress","packets":12,"last-at":"2026-03-01T11:59:58Z"}]}`
	answers["GET /instance/"+web1ID+"/flow"] = `{"more":true,"flows":[{"interface":"vnet0","direction":"ingress","protocol":"tcp","local":"2001:db8::21","local-port":22,
		"remote":"2001:db8::7","remote-port":41234,"state":"established","idle-seconds":4,"rule":"` + ruleID + `"}]}`
	return answers
}

func TestWhatPacketsDo(t *testing.T) {
	s := newStub(t, seen())
	for args, want := range map[string]string{
		"rule hits web": `
PACKETS  BYTES  LAST HOUR  LAST       GROUP  RULE                                  ID
7        420    3          1 min ago  web    ingress tcp 22 from 203.0.113.0/24    71000000
0        0      0          -          web    egress udp 53 to ::/0                 72000000
0        0      0          -          web    ingress icmp echo request from group db  73000000
`,
		"flows --instance web1 --denied": `
INTERFACE  REASON          PACKETS  LAST
vnet0      denied-ingress  12       2 s ago
`,
		"flows --instance web1": `
DIRECTION  PROTOCOL  LOCAL              REMOTE                 STATE        IDLE  RULE
ingress    tcp       [2001:db8::21]:22  [2001:db8::7]:41234    established  4 s   71000000
`,
	} {
		got := s.gabion(strings.Fields(args)...)
		if diff := cmp.Diff(strings.Fields(want), strings.Fields(got.stdout)); diff != "" || got.code != 0 {
			t.Errorf("%s: exit %d (-want +got):\n%s%s", args, got.code, diff, got.stderr)
		}
	}
	if got := s.gabion("flows", "--instance", "web1"); !strings.Contains(got.stderr, "there are more") {
		t.Errorf("nothing says that there are more: %q", got.stderr)
	}
	for args, want := range map[string]string{
		"flows": "--instance is missing", "flows --instance web1 --all": "--allowed and --all need --follow", "flows --follow --denied --all": "give one of",
	} {
		if got := s.gabion(strings.Fields(args)...); got.code != 2 || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: exit %d, %s", args, got.code, got.stderr)
		}
	}
}

// TestFollow reads a stream, which the server ends, and opens it again.
func TestFollow(t *testing.T) {
	const stream = `: watching; not to be seen from this server: hosts hv3

event: flow
data: {"time":"2026-03-01T12:00:00Z","host":"hv1","instance":{"id":"` + web1ID + `","name":"web1"},"interface":"vnet0","verdict":"drop","reason":"denied-ingress","direction":"ingress","protocol":"tcp","local":"10.0.0.7","local-port":22,"remote":"10.0.0.5","remote-port":4000,"remote-instance":{"id":"x","name":"app1"}}

event: flow
data: {"time":"2026-03-01T12:00:00Z","host":"hv1","instance":{"id":"` + web1ID + `","name":"web1"},"interface":"vnet0","verdict":"pass","reason":"rule","direction":"egress","protocol":"icmp","icmp":{"type":8,"code":0},"local":"10.0.0.7","remote":"192.0.2.1","rule":"` + ruleID + `","security-group":{"id":"` + webID + `","name":"web"}}

event: new-kind
data: {}

: still here

event: lost
data: 40

`
	ctx, cancel := context.WithCancel(t.Context())
	opened := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		opened++
		if opened == 2 {
			cancel()
			return
		}
		if got := r.URL.Query().Get("verdict"); got != "all" {
			t.Errorf("asked for %q", got)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = w.Write([]byte(stream))
	}))
	defer server.Close()
	var stdout, stderr bytes.Buffer
	code := run(ctx, env{
		stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, now: func() time.Time { return now },
		getenv: func(name string) string {
			return map[string]string{
				"EXOSCALE_API_KEY": "EXO000000000000000000000001", "EXOSCALE_API_SECRET": "not-a-secret", "EXOSCALE_API_ENDPOINT": server.URL + "/v2",
			}[name]
		},
	}, []string{"flows", "--all", "--follow"})
	if code != 0 || opened != 2 || !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("exit %d after %d streams", code, opened)
	}
	lines := strings.Split(stdout.String(), "\n")
	for i, want := range []string{
		" drop web1 <- app1 (10.0.0.5) tcp 22  denied-ingress",
		" pass web1 -> 192.0.2.1 icmp 8/0  rule 71000000 of group web",
		"… 40 events lost: more happened than could be told",
	} {
		if len(lines) <= i || !strings.HasSuffix(lines[i], want) {
			t.Errorf("line %d of\n%swant …%s", i, stdout.String(), want)
		}
	}
	if !strings.Contains(stderr.String(), "hosts hv3") || strings.Contains(stderr.String(), "still here") {
		t.Errorf("notes are %q", stderr.String())
	}
}

func TestExplainShowsWhatHostsSayAndWhatIsNear(t *testing.T) {
	s := newStub(t, map[string]string{"GET /instance": world()["GET /instance"], "POST /explain": `{"allowed":false,"summary":"no rule",
		"from":{"address":"10.0.0.5","instance":{"id":"a","name":"app1"},"verdict":"pass","reason":"egress-open","loaded":{"agrees":false,"unavailable":"host hv1 has no stream to this server"}},
		"to":{"address":"10.0.0.7","instance":{"id":"i","name":"db1"},"verdict":"drop","reason":"denied-ingress","loaded":{"agrees":true,"verdict":"drop","reason":"denied-ingress"},
		"nearest":[{"differs":["port","peer"],"security-group":{"id":"g","name":"db"},"rule":{"id":"71000000-0000","flow-direction":"ingress","protocol":"tcp","start-port":22,"end-port":22,"network":"192.0.2.0/24"}}]}}`})
	got := s.gabion("explain", "--from", "web1", "--to", "10.0.0.7", "--protocol", "tcp", "--port", "5432")
	want := result{1, `no rule

  egress of app1  pass  egress-open     not confirmed: host hv1 has no stream to this server
  ingress of db1  drop  denied-ingress  confirmed by the host

Nearest rules of db1:
  71000000  of group db  ingress tcp 22 from 192.0.2.0/24  differs in port and peer
`, ""}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(result{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
