package store_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/store"
)

func TestEachChangeIsRecordedWithWhoAndWhat(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := signed(t.Context(), 1)
	op := mustOp(t)(w.CreateGroup(ctx, gabion.Group{Organization: w.org, Name: "web"}))
	mustOp(t)(w.UpdateGroup(signed(t.Context(), 2), w.org, op.Subject, rename("www")))
	refused(t, only(w.CreateGroup(signed(t.Context(), 3), gabion.Group{Organization: w.org, Name: "www"})), gabion.CodeConflict)
	mustOp(t)(w.DeleteGroup(t.Context(), w.org, op.Subject))

	got := w.records(w.org)
	must(t, gabion.VerifyAudit(got))
	web := fmt.Sprintf(`{"id":%q,"name":"web"}`, op.Subject)
	www := fmt.Sprintf(`{"id":%q,"name":"www"}`, op.Subject)
	who := gabion.AuditEntry{Log: w.org, Key: "EXO1", KeyName: "somebody", Remote: "192.0.2.7", Subject: op.Subject}
	created, updated, deleted := who, who, gabion.AuditEntry{Log: w.org, Subject: op.Subject}
	created.Sequence, created.Request, created.Action, created.After = 1, "request-1", "create-security-group", []byte(web)
	updated.Sequence, updated.Request, updated.Action = 2, "request-2", "update-security-group"
	updated.Before, updated.After = []byte(web), []byte(www)
	deleted.Sequence, deleted.Action, deleted.Before = 3, "delete-security-group", []byte(www)
	var entries []gabion.AuditEntry
	for _, r := range got {
		entries = append(entries, r.AuditEntry)
	}
	ignore := cmpopts.IgnoreFields(gabion.AuditEntry{}, "Time", "Operation")
	if diff := cmp.Diff([]gabion.AuditEntry{created, updated, deleted}, entries, ignore); diff != "" {
		t.Error(diff)
	}
	if got[0].Operation != op.ID || got[0].Revision != op.Revision || !got[0].Time.Equal(op.Created) {
		t.Errorf("record %+v is not of operation %+v", got[0], op)
	}
	page, err := w.Audit(t.Context(), w.org, 3, 1)
	must(t, err)
	if diff := cmp.Diff(got[1:2], page); diff != "" {
		t.Error(diff)
	}
	for _, before := range []int64{4, 5, 1 << 40, math.MaxInt64} {
		page, err := w.Audit(t.Context(), w.org, before, 10)
		if err != nil || len(page) != 3 {
			t.Errorf("before %d there are %d records, %v", before, len(page), err)
		}
	}
	_, err = w.Audit(t.Context(), "x/y", 0, 1)
	refused(t, err, gabion.CodeNotFound)
}

// TestEveryCommandIsRecorded holds the words of all kinds of objects.
func TestEveryCommandIsRecorded(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	w.host("hv1")
	web, db := w.group("web"), w.group("db")
	rule := gabion.Rule{ID: "r1", Protocol: gabion.ICMP, ICMP: gabion.AnyICMP, Peer: gabion.Peer{Group: db}}
	must(t, only(w.AddRules(ctx, w.org, web, []gabion.Rule{rule})))
	must(t, only(w.DeleteRule(ctx, w.org, web, "r1")))
	vm := w.made(w.CreateInstance(ctx, gabion.Instance{
		Organization: w.org, Name: "vm", Host: "hv1", Groups: []string{web}, NICs: []gabion.NIC{nic("tap0", macA, "10.0.0.1", "2001:db8::1")},
	}))
	must(t, only(w.AttachGroup(ctx, w.org, vm, db, false)))
	must(t, only(w.DetachGroup(ctx, w.org, vm, db, false)))
	must(t, only(w.SetState(ctx, w.org, vm, gabion.Stopped)))
	must(t, only(w.SetPrimaryGroup(ctx, w.org, db)))
	must(t, only(w.DeleteInstance(ctx, w.org, vm)))
	k := w.key(gabion.Key{Organization: w.org, Name: "k"})
	must(t, only(w.DeleteKey(ctx, w.org, k.ID)))
	acme := w.organization("acme", "hv1")
	must(t, only(w.DeleteOrganization(ctx, acme)))
	must(t, w.DeleteHost(ctx, "hv1"))

	want := []string{
		"create-security-group", "create-security-group", "add-rule-to-security-group", "delete-rule-from-security-group",
		"create-instance", "attach-instance-to-security-group", "detach-instance-from-security-group", "stop-instance",
		"make-primary-security-group", "delete-instance", "create-api-key", "delete-api-key",
		"create-host-token", "join-host", "create-organization", "delete-organization", "delete-host",
	}
	records := append(w.records(w.org), w.records(gabion.InstallationLog)...)
	var got []string
	for _, r := range records {
		got = append(got, r.Action)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	texts := map[int]string{
		2:  `{"rules":[{"id":"r1","flow-direction":"ingress","protocol":"icmp","icmp":{"type":-1,"code":-1},"security-group":{"id":"DB"}}]}`,
		4:  `{"id":"VM","name":"vm","host":"hv1","security-groups":[{"id":"WEB"}],"interfaces":[{"name":"tap0","mac":"52:54:00:00:00:0a","ipv4":["10.0.0.1"],"ipv6":["2001:db8::1"]}]}`,
		7:  `{"id":"VM","state":"stopped"}`,
		8:  `{"id":"DB"}`,
		10: `{"key":"KEY","name":"k","scopes":["read"]}`,
		14: `{"id":"ACME","name":"acme","quotas":{"security-groups":1000,"rules-per-security-group":1000,"security-groups-per-instance":16,"instances":10000,"api-keys":100},"hosts":["hv1"]}`,
	}
	ids := strings.NewReplacer("DB", db, "VM", vm, "WEB", web, "KEY", k.ID, "ACME", acme)
	for i, text := range texts {
		if diff := cmp.Diff(ids.Replace(text), string(records[i].After)); diff != "" {
			t.Errorf("%s: %s", records[i].Action, diff)
		}
	}
	for _, i := range []int{3, 9, 11, 15, 16} {
		if records[i].Before == nil || records[i].After != nil {
			t.Errorf("%s: before %s, after %s", records[i].Action, records[i].Before, records[i].After)
		}
	}
}

func TestServersAppendToOneChain(t *testing.T) {
	t.Parallel()
	w := open(t)
	servers := []*store.Store{w.Store, connect(t, w.embedded.Endpoint(), w.dir, w.log()), connect(t, w.embedded.Endpoint(), w.dir, w.log())}
	for _, err := range together(90, func(i int) error {
		if i%10 == 0 {
			return servers[i%3].Deny(t.Context(), gabion.AuditEntry{Log: w.org, Action: "get-api-key", Key: fmt.Sprint(i)})
		}
		return only(servers[i%3].CreateGroup(t.Context(), gabion.Group{Organization: w.org, Name: fmt.Sprint(i)}))
	}) {
		must(t, err)
	}
	for _, s := range servers[1:] {
		must(t, s.Close()) // what was denied is written
	}
	records := w.recordsOnce(w.org, 90)
	must(t, gabion.VerifyAudit(records))
	if len(records) != 90 {
		t.Errorf("%d records", len(records))
	}
}

func TestTamperingInTheStoreIsFound(t *testing.T) {
	t.Parallel()
	w := open(t)
	for n := range 6 {
		w.group(fmt.Sprint(n))
	}
	raw, at := w.raw(), "gabion/o/"+w.org+"/audit/"
	key := func(n int) string { return fmt.Sprintf("%s%016d", at, n) }
	reply, err := raw.Get(t.Context(), key(3))
	must(t, err)
	value := reply.Kvs[0].Value
	put := func(v []byte) {
		t.Helper()
		_, err := raw.Put(t.Context(), key(3), string(v))
		must(t, err)
	}
	found := func(what string) {
		t.Helper()
		if err := gabion.VerifyAudit(w.records(w.org)); err == nil || !strings.Contains(err.Error(), "sequence 3") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range value {
		bad := slices.Clone(value)
		bad[i] ^= 1
		put(bad)
		found(fmt.Sprintf("byte %d (%q)", i, value[i]))
	}
	_, err = raw.Delete(t.Context(), key(3))
	must(t, err)
	found("deleted")
	next, err := raw.Get(t.Context(), key(4))
	must(t, err)
	put(next.Kvs[0].Value)
	found("put in the place of another")
	put(value)
	must(t, gabion.VerifyAudit(w.records(w.org)))
}

func TestLargeChangesAreRecordedWithinBounds(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	labels := map[string]string{}
	for n := range gabion.MaxLabels {
		labels[fmt.Sprint(n)] = strings.Repeat("ü", gabion.MaxDescriptionLength)
	}
	for n := range gabion.MaxLabels {
		labels[strings.Repeat("ö", 250)+fmt.Sprint(n)] = strings.Repeat("ü", gabion.MaxDescriptionLength)
		delete(labels, fmt.Sprint(n))
	}
	must(t, only(w.CreateInstance(ctx, gabion.Instance{Organization: w.org, Name: "vm", Labels: labels})))
	var rules []gabion.Rule
	for n := range uint16(900) {
		rules = append(rules, port(n+1, "0.0.0.0/0"))
	}
	must(t, only(w.AddRules(ctx, w.org, w.primary(), rules)))
	for i, r := range w.records(w.org) {
		if len(r.Content) > 70_000 {
			t.Errorf("record %d has %d bytes", i, len(r.Content))
		}
		var said struct {
			Rules   []json.RawMessage `json:"rules"`
			Omitted int               `json:"rules-omitted"`
		}
		if must(t, json.Unmarshal(r.After, &said)); i == 1 && (len(said.Rules)+said.Omitted != 900 || said.Omitted == 900) {
			t.Errorf("%d rules and %d more", len(said.Rules), said.Omitted)
		}
	}
}
