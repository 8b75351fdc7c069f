package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/pki"
	"github.com/gabion/gabion/test/contract"
)

// records are an audit log's, oldest first.
func (r *running) records(t *testing.T, query string) []map[string]any {
	t.Helper()
	a := r.say(t, "GET", "/audit"+query, "")
	if a.status != http.StatusOK {
		t.Fatalf("GET /audit%s: got %d %s", query, a.status, a.text)
	}
	var all []map[string]any
	for _, record := range a.body["records"].([]any) {
		all = append(all, record.(map[string]any))
	}
	slices.Reverse(all)
	return all
}

// found is the last record of the action.
func found(t *testing.T, records []map[string]any, action string) map[string]any {
	t.Helper()
	for _, record := range slices.Backward(records) {
		if record["action"] == action {
			return record
		}
	}
	t.Fatalf("there is no record of %s among %v", action, records)
	return nil
}

func TestChangesAreRecorded(t *testing.T) {
	r := start(t)
	a := r.say(t, "POST", "/security-group", `{"name":"web"}`)
	id := a.body["reference"].(map[string]any)["id"].(string)
	r.say(t, "PUT", "/security-group/"+id, `{"name":"www"}`)
	log := r.records(t, "")
	created, renamed := found(t, log, "create-security-group"), found(t, log, "update-security-group")
	for name, want := range map[string]any{
		"outcome": "done", "key": r.env["EXOSCALE_API_KEY"], "remote": "127.0.0.1", "subject": id,
		"operation": a.body["id"], "request": a.header.Get("X-Request-Id"),
	} {
		if created[name] != want {
			t.Errorf("%s is %v, want %v in %v", name, created[name], want, created)
		}
	}
	before, _ := renamed["before"].(map[string]any)
	after, _ := renamed["after"].(map[string]any)
	if before["name"] != "web" || after["name"] != "www" {
		t.Errorf("a renaming is recorded as from %v to %v", before, after)
	}
}

func TestDenialsAreRecorded(t *testing.T) {
	r := start(t)
	pair := r.newKey(t, "/api-key", `{"name":"reader","scopes":["read"]}`)
	reader := r.as(pair)
	organization, _ := r.newOrganization(t, "other")
	reader.say(t, "POST", "/security-group", `{"name":"web"}`)
	reader.say(t, "GET", "/host", "")
	reader.say(t, "GET", "/organization/"+organization, "")
	reader.say(t, "DELETE", "/host/%1B%5B2J%E2%80%AE", "")
	r.as(keyPair{pair.key, "guessed"}).say(t, "GET", "/instance", "")
	r.signIn(t, keyPair{pair.key, "guessed"})
	r.as(keyPair{"EXO000000000000000000000000", "guessed"}).say(t, "GET", "/security-group", "")

	log := r.records(t, "")
	for _, action := range []string{"create-security-group", "list-hosts", "get-organization", "list-instances", "create-session"} {
		record := found(t, log, action)
		if record["outcome"] != "denied" || record["key"] != pair.key || record["message"] == "" || record["remote"] != "127.0.0.1" {
			t.Errorf("got %v", record)
		}
	}
	if record := found(t, log, "delete-host"); record["subject"] != "?[2J?" {
		t.Errorf("what a terminal would obey is recorded as it was sent: %q", record["subject"])
	}
	record := found(t, r.records(t, "?log=installation"), "list-security-groups")
	if record["outcome"] != "denied" {
		t.Errorf("a key that nobody knows: got %v", record)
	}
}

func TestAuditLogIsChainedAndHasNoSecrets(t *testing.T) {
	r := start(t)
	pair := r.newKey(t, "/api-key", `{"name":"ci","scopes":["admin"]}`)
	next := r.newKeyBy(t, "PUT", "/api-key/"+pair.key+":rotate", `{}`)
	_, page := r.signIn(t, pair)
	r.createGroup(t, "web")
	token := r.say(t, "POST", "/host-token", `{"host":"hv1"}`).body["token"].(string)
	for _, query := range []string{"", "?log=installation"} {
		var records []gabion.AuditRecord
		for _, raw := range r.records(t, query) {
			records = append(records, gabion.AuditRecord{
				AuditEntry: gabion.AuditEntry{Sequence: int64(raw["sequence"].(float64))},
				Content:    raw["content"].(string), Previous: raw["previous"].(string), Hash: raw["hash"].(string),
			})
			for _, secret := range []string{pair.secret, next.secret, r.env["EXOSCALE_API_SECRET"], page.cookie, token} {
				if strings.Contains(fmt.Sprint(raw), secret) {
					t.Errorf("the record %v tells a secret", raw)
				}
			}
		}
		if err := gabion.VerifyAudit(records); err != nil || len(records) == 0 {
			t.Errorf("the log %q of %d records: %v", query, len(records), err)
		}
	}
}

func TestAuditLogIsReadPageByPage(t *testing.T) {
	r := start(t)
	for i := range 7 {
		r.createGroup(t, fmt.Sprintf("g%d", i))
	}
	whole := r.records(t, "")
	var paged []map[string]any
	for before := ""; ; {
		page := r.records(t, "?limit=3"+before)
		if len(page) == 0 {
			break
		}
		paged = append(page, paged...)
		before = fmt.Sprintf("&before=%v", page[0]["sequence"])
	}
	if len(paged) != len(whole) || fmt.Sprint(paged) != fmt.Sprint(whole) {
		t.Errorf("page by page there are %d records, at once %d", len(paged), len(whole))
	}
	for _, query := range []string{"?limit=0", "?limit=1001", "?before=0", "?before=-1", "?before=x", "?log=other"} {
		if a := r.say(t, "GET", "/audit"+query, ""); a.status != http.StatusBadRequest {
			t.Errorf("%s: got %d %s", query, a.status, a.text)
		}
	}
}

func TestSignInsAreRecorded(t *testing.T) {
	r := start(t)
	pair := r.newKey(t, "/api-key", `{"name":"reader","scopes":["read"]}`)
	r.signIn(t, pair)
	record := found(t, r.records(t, ""), "create-session")
	if record["outcome"] != "done" || record["key"] != pair.key || record["key-name"] != "reader" || record["remote"] != "127.0.0.1" || record["request"] == nil {
		t.Errorf("got %v", record)
	}
}

func TestWrongScrapesAreRecorded(t *testing.T) {
	r := start(t)
	pair := r.newKey(t, "/api-key", `{"name":"reader","scopes":["read"]}`)
	scrape := func(key, secret string) {
		t.Helper()
		req, err := http.NewRequest("GET", strings.TrimSuffix(r.endpoint, "/v2")+"/metrics", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(key, secret)
		resp, err := r.http.Transport.(*contract.Transport).Next.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	operator := r.operator()
	scrape(operator.key, operator.secret)
	scrape("EXOnobody", "guessed")
	scrape(pair.key, pair.secret) // a key that there is, and not an operator's
	for query, key := range map[string]any{"?log=installation": nil, "": pair.key} {
		var denied []map[string]any
		for _, record := range r.records(t, query) {
			if record["action"] == "get-metrics" {
				denied = append(denied, record)
			}
		}
		if len(denied) != 1 || denied[0]["outcome"] != "denied" || denied[0]["key"] != key || denied[0]["remote"] != "127.0.0.1" {
			t.Errorf("the log %q has %v", query, denied)
		}
	}
}

// Whoever joins has no key. What is known of it is where it came from.
func TestJoinsAreRecordedWithWhereTheyCameFrom(t *testing.T) {
	r := start(t)
	a := r.say(t, "POST", "/host-token", `{"host":"hv1"}`)
	token, err := pki.ParseToken(a.body["token"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := feed.Join(t.Context(), r.agents, token); err != nil {
		t.Fatal(err)
	}
	if _, err := feed.Join(t.Context(), r.agents, token); gabion.CodeOf(err) != gabion.CodeForbidden {
		t.Fatalf("joining once more: %v", err)
	}
	outcomes := map[any]bool{}
	for _, record := range r.records(t, "?log=installation") {
		if record["action"] == "join-host" && record["remote"] == "127.0.0.1" && record["subject"] == "hv1" {
			outcomes[record["outcome"]] = true
		}
	}
	if !outcomes["done"] || !outcomes["denied"] {
		t.Errorf("of a join and of one more there is %v", outcomes)
	}
}
