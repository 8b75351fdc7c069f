package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gabion/gabion"
)

// raw is a client that sees the keys themselves.
func (w *world) raw() *clientv3.Client {
	w.t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{w.embedded.Endpoint()}})
	must(w.t, err)
	w.t.Cleanup(func() { must(w.t, c.Close()) })
	return c
}

// derived are the kinds of keys that follow from objects.
var derived = []string{"group-name", "rule-key", "mac", "address", "use"}

// audit holds the organization's keys against each other: every key that
// follows from an object is there, no other is, and nothing names what is gone.
// And it holds that the audit logs are unbroken.
func (w *world) audit() {
	w.t.Helper()
	ctx := w.t.Context()
	groups, err := w.Groups(ctx, w.org)
	must(w.t, err)
	rules, err := w.Rules(ctx, w.org)
	must(w.t, err)
	instances, err := w.Instances(ctx, w.org)
	must(w.t, err)

	a := auditor{t: w.t, groups: map[string]bool{}}
	for _, g := range groups {
		a.groups[g.ID] = true
		a.want("group-name/" + g.Name)
	}
	for _, r := range rules {
		a.rule(r)
	}
	for _, i := range instances {
		a.instance(i)
	}
	slices.Sort(a.keys)
	if diff := cmp.Diff(a.keys, w.derivedKeys()); diff != "" {
		w.t.Errorf("keys that follow from objects (-want +got): %s", diff)
	}
	must(w.t, gabion.VerifyAudit(w.records(w.org)))
	must(w.t, gabion.VerifyAudit(w.records(gabion.InstallationLog)))
}

// records are all records of a log, oldest first, read page by page.
func (w *world) records(log string) []gabion.AuditRecord {
	w.t.Helper()
	var all []gabion.AuditRecord
	for before := int64(0); ; {
		page, err := w.Audit(w.t.Context(), log, before, 1000)
		must(w.t, err)
		all = append(all, page...)
		if len(page) < 1000 {
			slices.Reverse(all)
			return all
		}
		before = page[len(page)-1].Sequence
	}
}

// recordsOnce are the records of a log once there are n: reading waits for denials
// that are being written, but not for long.
func (w *world) recordsOnce(log string, n int) []gabion.AuditRecord {
	w.t.Helper()
	for range 20 {
		if all := w.records(log); len(all) >= n {
			return all
		}
	}
	w.t.Fatalf("the log %s does not get %d records", log, n)
	return nil
}

type auditor struct {
	t      *testing.T
	groups map[string]bool
	keys   []string
}

func (a *auditor) want(key string) { a.keys = append(a.keys, key) }

func (a *auditor) require(group, by string) {
	if !a.groups[group] {
		a.t.Errorf("%s names group %s, which is gone", by, group)
	}
}

func (a *auditor) rule(r gabion.Rule) {
	a.require(r.Group, "rule "+r.ID)
	a.want(fmt.Sprintf("rule-key/%s/%s", r.Group, r.Key()))
	if r.Peer.IsGroup() {
		a.require(r.Peer.Group, "rule "+r.ID)
	}
	if r.Peer.IsGroup() && r.Peer.Group != r.Group {
		a.want(fmt.Sprintf("use/%s/rule/%s/%s", r.Peer.Group, r.Group, r.ID))
	}
}

func (a *auditor) instance(i gabion.Instance) {
	for _, g := range i.Groups {
		a.require(g, "instance "+i.ID)
		a.want(fmt.Sprintf("use/%s/instance/%s", g, i.ID))
	}
	for _, n := range i.NICs {
		a.want("mac/" + n.MAC.String())
		for _, address := range n.Addresses {
			a.want("address/" + address.String())
		}
	}
}

func (w *world) derivedKeys() []string {
	w.t.Helper()
	prefix := "gabion/o/" + w.org + "/"
	reply, err := w.raw().Get(w.t.Context(), prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	must(w.t, err)
	var keys []string
	for _, kv := range reply.Kvs {
		key := strings.TrimPrefix(string(kv.Key), prefix)
		if kind, _, _ := strings.Cut(key, "/"); slices.Contains(derived, kind) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
