package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gabion/gabion"
)

func TestDenialsAreRecordedAndCounted(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	e := gabion.AuditEntry{Log: w.org, Key: "EXO1", Remote: "192.0.2.7", Action: "list-api-keys", Message: "the key lacks the scope admin"}
	other := e
	other.Action = "create-api-key"
	must(t, w.Deny(ctx, e))
	must(t, w.Deny(ctx, other))
	first := w.recordsOnce(w.org, 2)
	for range 5000 {
		must(t, w.Deny(ctx, e))
	}
	must(t, w.Close())

	w.Store = connect(t, w.embedded.Endpoint(), w.dir, w.log())
	got := w.records(w.org)
	must(t, gabion.VerifyAudit(got))
	if len(first) != 2 {
		t.Fatalf("at first there are %d records", len(first))
	}
	var entries []gabion.AuditEntry
	for _, r := range got {
		entries = append(entries, r.AuditEntry)
	}
	e.Denied, other.Denied = true, true
	want := []gabion.AuditEntry{e, other, e}
	want[0].Count, want[1].Count, want[2].Count = 1, 1, 5000
	ignore := cmpopts.IgnoreFields(gabion.AuditEntry{}, "Time", "Sequence")
	if diff := cmp.Diff(want, entries, ignore, cmpopts.SortSlices(func(a, b gabion.AuditEntry) bool { return a.Count < b.Count })); diff != "" {
		t.Error(diff)
	}
	must(t, w.Deny(ctx, gabion.AuditEntry{Log: w.org, Action: "x", Message: strings.Repeat("ü", 1<<20)}))
	if last := w.recordsOnce(w.org, 4)[3]; len(last.Content) > 2000 || !strings.HasPrefix(last.Message, "üü") {
		t.Errorf("a long message takes %d bytes", len(last.Content))
	}
	refused(t, w.Deny(ctx, gabion.AuditEntry{Log: "x/y"}), gabion.CodeNotFound)
}

// TestDenialsFillNothing lets somebody be denied from ever other addresses.
func TestDenialsFillNothing(t *testing.T) {
	t.Parallel()
	w := open(t)
	const tries = 20_000
	for n := range tries {
		must(t, w.Deny(t.Context(), gabion.AuditEntry{Log: gabion.InstallationLog, Remote: fmt.Sprint(n), Action: "list-hosts"}))
	}
	must(t, w.Close())
	w.Store = connect(t, w.embedded.Endpoint(), w.dir, w.log())
	records := w.records(gabion.InstallationLog)
	must(t, gabion.VerifyAudit(records))
	told := 0
	for _, r := range records {
		told += r.Count
	}
	if told != tries || len(records) > 50 {
		t.Errorf("%d records tell of %d denials", len(records), told)
	}
}
