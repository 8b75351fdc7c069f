package main

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gabion/gabion"
)

const acmeID = "8d000000-0000-4000-8000-000000000000"

// people is what the stub answers about keys and organizations.
func people() map[string]string {
	answers := world()
	key := `"key":"EXO0123456789abcdef01234567","name":"ci","scopes":["rules"],"operator":false,"created-at":"2026-01-01T00:00:00Z"`
	success := `{"id":"0b000000-0000-4000-8000-000000000000","state":"success","reference":{}}`
	maps.Copy(answers, map[string]string{
		"GET /api-key": `{"api-keys":[{` + key + `,"last-used-at":"2026-03-01T11:58:00Z"},
			{"key":"EXOaaaaaaaaaaaaaaaaaaaaaaaa","name":"boss","scopes":["admin"],"operator":true,"created-at":"2026-01-01T00:00:00Z"}]}`,
		"POST /api-key": `{` + key + `,"secret":"s3cret"}`,
		"PUT /api-key/EXO0123456789abcdef01234567:rotate": `{` + key + `,"secret":"s3cret"}`,
		"DELETE /api-key/EXO0123456789abcdef01234567":     success,
		"GET /organization": `{"organizations":[{"id":"` + acmeID + `","name":"acme","created-at":"2026-01-01T00:00:00Z","hosts":["hv1"],
			"quotas":{"security-groups":10,"rules-per-security-group":20,"security-groups-per-instance":5,"instances":30,"api-keys":4}}]}`,
		"POST /organization":                        success,
		"PUT /organization/" + acmeID:               success,
		"DELETE /organization/" + acmeID:            `409 {"message":"acme has 2 instances; delete them first"}`,
		"POST /organization/" + acmeID + "/api-key": `{` + key + `,"secret":"s3cret"}`,
		"GET /quota":                                `{"quotas":[{"resource":"security-group","usage":3,"limit":10}]}`,
		"GET /session":                              `{"key":"EXO0123456789abcdef01234567","address":"203.0.113.7"}`,
	})
	return answers
}

const keyFile = "# ci (rules)\nexport EXOSCALE_API_KEY=EXO0123456789abcdef01234567\nexport EXOSCALE_API_SECRET=s3cret\n"

const onceNote = "gabion: note: the secret is shown this once; keep it where only its user can read it\n"

func TestPeople(t *testing.T) {
	for _, test := range []struct {
		args string
		asks string
		want result
	}{
		{"key list", "", result{0, `KEY                          NAME  SCOPES          LAST USED  EXPIRES
EXO0123456789abcdef01234567  ci    rules           2 min ago  never
EXOaaaaaaaaaaaaaaaaaaaaaaaa  boss  admin,operator  never      never
`, ""}},
		{
			"key create ci --scope rules --expires-in 1h",
			`POST /api-key {"expires-at":"2026-03-01T13:00:00Z","name":"ci","scopes":["rules"]}`,
			result{0, keyFile, onceNote},
		},
		{
			"key create boss --scope read,admin --organization acme",
			"POST /organization/" + acmeID + `/api-key {"name":"boss","scopes":["read","admin"]}`,
			result{0, keyFile, onceNote},
		},
		{
			"key rotate ci --overlap 1h",
			`PUT /api-key/EXO0123456789abcdef01234567:rotate {"overlap-seconds":3600}`,
			result{0, keyFile, onceNote},
		},
		{
			"key rotate ci -o json",
			`PUT /api-key/EXO0123456789abcdef01234567:rotate {"overlap-seconds":86400}`,
			result{0, `{
  "created-at": "2026-01-01T00:00:00Z",
  "key": "EXO0123456789abcdef01234567",
  "name": "ci",
  "operator": false,
  "scopes": [
    "rules"
  ],
  "secret": "s3cret"
}
`, ""},
		},
		{
			"key delete EXO0123", "DELETE /api-key/EXO0123456789abcdef01234567",
			result{0, "key ci (EXO0123456789abcdef01234567) revoked\n", ""},
		},
		{"key delete nobody", "", result{1, "", "gabion: no key \"nobody\"; gabion key list shows what there is\n"}},
		{"organization list", "", result{0, "NAME  ID        HOSTS  GROUPS  INSTANCES  KEYS\nacme  8d000000  hv1    ≤ 10    ≤ 30       ≤ 4\n", ""}},
		{"organization quotas", "", result{0, "RESOURCE        USED  LIMIT\nsecurity-group  3     10\n", ""}},
		{
			"organization create beta --host hv1,hv2 --max-instances 5",
			`POST /organization {"hosts":["hv1","hv2"],"name":"beta","quotas":{"instances":5}}`,
			result{0, "organization beta created; its first key: gabion key create NAME --scope admin --organization beta\n", ""},
		},
		{
			"organization update acme --name Acme --max-keys 9",
			"PUT /organization/" + acmeID + ` {"name":"Acme","quotas":{"api-keys":9}}`,
			result{0, "organization acme changed\n", ""},
		},
		{
			"organization delete acme", "DELETE /organization/" + acmeID,
			result{1, "", "gabion: acme has 2 instances; delete them first\n"},
		},
		{
			"rule add web --template ssh --from-my-ip",
			"POST /security-group/" + webID + `/rules {"end-port":22,"flow-direction":"ingress","network":"203.0.113.7/32","protocol":"tcp","start-port":22}`,
			result{0, "rule 74000000 added to web: ingress tcp all ports from 0.0.0.0/0; enforced\n", ""},
		},
		{"key create ci", "", result{2, "", "gabion: --scope is missing; give read, rules, instances or admin; see gabion key create --help\n"}},
		{"organization create beta --max-keys some", "", result{
			2, "",
			"gabion: --max-keys: \"some\" is not a number of things; see gabion organization create --help\n",
		}},
	} {
		t.Run(test.args, func(t *testing.T) {
			s := newStub(t, people())
			got := s.gabion(strings.Fields(test.args)...)
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(result{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if asked := strings.Join(s.changes, "\n"); asked != test.asks {
				t.Errorf("asked %s, want %s", asked, test.asks)
			}
		})
	}
}

func TestAHeadThatWasSeenMustStay(t *testing.T) {
	records := []gabion.AuditRecord{
		{AuditEntry: gabion.AuditEntry{Sequence: 1}, Hash: "aa"},
		{AuditEntry: gabion.AuditEntry{Sequence: 2}, Hash: "bb"},
	}
	for head, want := range map[string]bool{"": true, "1:aa": true, "2:bb": true, "2:aa": false, "3:cc": false, "nonsense": false} {
		if err := holdsHead(records, head); (err == nil) != want {
			t.Errorf("head %q: %v", head, err)
		}
	}
}
