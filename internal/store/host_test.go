package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gabion/gabion"
)

func TestJoinTokenIsGoodOnceAndForAWhile(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx, at := t.Context(), time.Now()
	create := func(hash byte, expires time.Time) [32]byte {
		token := gabion.JoinToken{Host: "hv1", Hash: [32]byte{hash}, Expires: expires}
		must(t, w.CreateJoinToken(ctx, token))
		return token.Hash
	}
	refused(t, w.CreateJoinToken(ctx, gabion.JoinToken{Host: "../hv1"}), gabion.CodeInvalid, "host")

	expired := create(1, at)
	redeem := func(host string, hash [32]byte, at time.Time) error {
		return w.RedeemJoinToken(ctx, host, hash, at, [32]byte{})
	}
	refused(t, redeem("hv1", expired, at), gabion.CodeForbidden, "expired")
	refused(t, redeem("hv1", [32]byte{9}, at), gabion.CodeForbidden, "unknown", "gabion host token hv1")
	refused(t, redeem("hv2", create(3, at.Add(time.Minute)), at), gabion.CodeForbidden, "altered")
	if hosts, _, _ := w.Hosts(ctx); len(hosts) != 0 {
		t.Fatalf("joined without a token: %v", hosts)
	}

	good := create(2, at.Add(time.Minute)) // sweeps the expired one away
	won := 0
	for _, err := range together(20, func(int) error { return redeem("hv1", good, at) }) {
		if err == nil {
			won++
		} else {
			refused(t, err, gabion.CodeForbidden, "used")
		}
	}
	if won != 1 {
		t.Errorf("the token was good for %d", won)
	}
	refused(t, redeem("hv1", expired, at.Add(-time.Hour)), gabion.CodeForbidden, "unknown")
}

func TestHostKeepsItsAgeWhenItJoinsAgain(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.host("hv1")
	before, _, err := w.Hosts(t.Context())
	must(t, err)
	w.host("hv1")
	after, _, err := w.Hosts(t.Context())
	must(t, err)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyTheCertificatesOfTheLastJoinAreGood(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	first, renewed, lost, second := [32]byte{1}, [32]byte{2}, [32]byte{3}, [32]byte{4}
	good := func(want ...[32]byte) {
		t.Helper()
		for _, c := range [][32]byte{first, renewed, lost, second} {
			if err := w.AdmitHost(ctx, "hv1", c); slices.Contains(want, c) {
				must(t, err)
			} else {
				refused(t, err, gabion.CodeForbidden, "hv1", "joined again")
			}
		}
	}
	refused(t, w.AdmitHost(ctx, "hv1", first), gabion.CodeNotFound, "hv1")
	refused(t, w.RenewHost(ctx, "hv1", first, renewed), gabion.CodeNotFound, "hv1")
	w.joinWith("hv1", first)
	good(first)
	must(t, w.RenewHost(ctx, "hv1", first, lost)) // the answer never arrives
	good(first, lost)
	must(t, w.RenewHost(ctx, "hv1", first, renewed))
	good(first, renewed)
	must(t, w.RenewHost(ctx, "hv1", renewed, second))
	good(renewed, second)
	refused(t, w.RenewHost(ctx, "hv1", first, lost), gabion.CodeForbidden, "hv1")
	renewals := 0
	for _, r := range w.records(gabion.InstallationLog) {
		if r.Action == "renew-host" && r.Subject == "hv1" {
			renewals++
		}
	}
	if renewals != 3 {
		t.Errorf("%d of 3 renewals are recorded", renewals)
	}

	w.joinWith("hv1", first)
	good(first)
	must(t, w.DeleteHost(ctx, "hv1"))
	w.joinWith("hv1", second)
	good(second)
}

func TestStatusGoesWithItsHost(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	want := gabion.HostStatus{
		Host: "hv1", Revision: 7, LastSeen: time.Now().UTC(), Version: "1", Error: "no bpffs",
		Protection: "br0=nftables", UnprotectedPorts: []string{"vnet1"}, Drifts: 3,
	}
	refused(t, w.SaveStatus(ctx, want), gabion.CodeNotFound, "hv1")
	w.host("hv1")
	must(t, w.SaveStatus(ctx, want))
	_, statuses, err := w.Hosts(ctx)
	must(t, err)
	if diff := cmp.Diff([]gabion.HostStatus{want}, statuses); diff != "" {
		t.Error(diff)
	}
	must(t, w.DeleteHost(ctx, "hv1"))
	refused(t, w.DeleteHost(ctx, "hv1"), gabion.CodeNotFound, "hv1")
	refused(t, w.SaveStatus(ctx, want), gabion.CodeNotFound, "hv1")
	if _, statuses, _ := w.Hosts(ctx); len(statuses) != 0 {
		t.Errorf("left behind: %v", statuses)
	}
}

func TestInstanceNeedsAHostThatJoined(t *testing.T) {
	t.Parallel()
	w := open(t)
	vm := gabion.Instance{Organization: w.org, Name: "vm", Host: "hv1"}
	refused(t, only(w.CreateInstance(t.Context(), vm)), gabion.CodeInvalid, "gabion host token hv1")
	w.host("hv1")
	var deleted, created int
	for i, err := range together(2, func(i int) error {
		if i == 0 {
			return w.DeleteHost(t.Context(), "hv1")
		}
		return only(w.CreateInstance(t.Context(), vm))
	}) {
		if err == nil {
			deleted, created = deleted+1-i, created+i
		}
	}
	if deleted+created != 1 {
		t.Errorf("%d times deleted, %d times created", deleted, created)
	}
}

// Who takes a snapshot hears of every host, also of one that never said anything:
// nobody knows what it enforces.
func TestSnapshotHasEveryHost(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.host("hv1")
	w.host("hv2")
	must(t, w.SaveStatus(t.Context(), gabion.HostStatus{Host: "hv2", Revision: 5}))
	e, err := w.Snapshot(t.Context())
	must(t, err)
	newest := map[string]int64{}
	for _, s := range e.Statuses {
		newest[s.Host] = s.Revision
	}
	if diff := cmp.Diff(map[string]int64{"hv1": 0, "hv2": 5}, newest); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
