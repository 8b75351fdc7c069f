package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gabion/gabion"
)

func TestReplacedRulesKeepWhatIsEqual(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	web, db := w.group("web"), w.group("db")
	must(t, only(w.AddRules(ctx, w.org, web, []gabion.Rule{port(22, "0.0.0.0/0"), port(80, db), port(443, web)})))
	before, err := w.GroupRules(ctx, w.org, web)
	must(t, err)

	renamed := port(443, web)
	renamed.Description = "https"
	want := []gabion.Rule{port(25, db), renamed, port(22, "0.0.0.0/0")}
	must(t, only(w.ReplaceRules(ctx, w.org, web, want)))
	got, err := w.GroupRules(ctx, w.org, web)
	must(t, err)
	order := []gabion.Rule{want[2], want[1], want[0]} // as they were born
	if diff := cmp.Diff(order, got, cmpopts.IgnoreFields(gabion.Rule{}, "ID", "Group"), cmp.Comparer(samePrefix)); diff != "" {
		t.Fatal(diff)
	}
	if got[0].ID != before[0].ID || got[1].ID != before[2].ID {
		t.Errorf("rules got other ids: %v, %v", before, got)
	}
	w.audit()

	must(t, only(w.ReplaceRules(ctx, w.org, web, []gabion.Rule{port(443, web)})))
	must(t, only(w.DeleteGroup(ctx, w.org, db))) // nobody names it any more
	must(t, only(w.ReplaceRules(ctx, w.org, web, nil)))
	if got, err := w.GroupRules(ctx, w.org, web); err != nil || len(got) != 0 {
		t.Errorf("left: %v, %v", got, err)
	}
	w.audit()
}

func TestReplacedRulesAreRefusedWhole(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	web := w.group("web")
	id := w.rule(web, port(22, "0.0.0.0/0"))
	replace := func(rules ...gabion.Rule) error { return only(w.ReplaceRules(ctx, w.org, web, rules)) }
	refused(t, replace(port(80, "0.0.0.0/0"), port(80, "0.0.0.0/0")), gabion.CodeConflict, "equal")
	refused(t, replace(port(80, "0.0.0.0/0"), port(81, "none")), gabion.CodeNotFound, "none")
	refused(t, replace(gabion.Rule{Protocol: gabion.TCP}), gabion.CodeInvalid, "network")
	refused(t, only(w.ReplaceRules(ctx, w.org, "none", nil)), gabion.CodeNotFound, "none")
	rules, err := w.GroupRules(ctx, w.org, web)
	must(t, err)
	if len(rules) != 1 || rules[0].ID != id {
		t.Errorf("a refused change left %v", rules)
	}
}

// TestUnreadableRulesGoToo damages rules in the store, and sees that they keep nobody
// from changing the group, and leave nothing behind.
func TestUnreadableRulesGoToo(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	web, db := w.group("web"), w.group("db")
	damage := func(ids ...string) {
		for _, id := range ids {
			_, err := w.raw().Put(ctx, "gabion/o/"+w.org+"/rule/"+web+"/"+id, `{"direction":"sideways"}`)
			must(t, err)
		}
	}
	inUse := func() {
		t.Helper()
		refused(t, only(w.DeleteGroup(ctx, w.org, db)), gabion.CodeConflict, `rules of security groups "web"`)
	}
	first, second := w.rule(web, port(22, "0.0.0.0/0")), w.rule(web, port(80, db))
	kept := w.rule(web, port(443, "::/0"))
	damage(first, second)
	inUse()
	must(t, only(w.ReplaceRules(ctx, w.org, web, []gabion.Rule{port(22, "0.0.0.0/0"), port(443, "::/0"), port(25, db)})))
	rules, err := w.GroupRules(ctx, w.org, web)
	must(t, err)
	if len(rules) != 3 || rules[0].ID != kept || len(w.Poisoned()) != 0 {
		t.Errorf("the group has %v, and unreadable are %v", rules, w.Poisoned())
	}
	w.audit()
	records := w.records(w.org)
	said := fmt.Sprintf(`{"rules":[],"rules-unreadable":[%q,%q]}`, min(first, second), max(first, second))
	if got := string(records[len(records)-1].Before); got != said {
		t.Errorf("the record of the change says %s, want %s", got, said)
	}

	third := rules[2].ID
	damage(third)
	inUse()
	must(t, only(w.DeleteRule(ctx, w.org, web, third)))
	w.audit()
	damage(w.rule(web, port(25, db)))
	inUse()
	must(t, only(w.DeleteGroup(ctx, w.org, web)))
	must(t, only(w.DeleteGroup(ctx, w.org, db)))
	w.audit()
}

// TestUnreadableObjectIsNoMistakeOfTheCaller holds that what is wrong with what is
// stored is not said as if it were wrong with what was asked.
func TestUnreadableObjectIsNoMistakeOfTheCaller(t *testing.T) {
	t.Parallel()
	w := open(t)
	vm := w.instance("vm")
	_, err := w.raw().Put(t.Context(), "gabion/o/"+w.org+"/instance/"+vm, `{"name":""}`)
	must(t, err)
	_, err = w.Instance(t.Context(), w.org, vm)
	refused(t, err, gabion.CodeInternal, "instance/"+vm, "name: is empty")
	refused(t, only(w.DeleteInstance(t.Context(), w.org, vm)), gabion.CodeInternal)
}

func TestManyRulesAreReplacedAtOnce(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	const many = 5000
	quotas := gabion.DefaultQuotas()
	quotas.RulesPerGroup = many
	must(t, only(w.UpdateOrganization(ctx, w.org, func(o *gabion.Organization) error { o.Quotas = quotas; return nil })))
	web, db := w.group("web"), w.group("db")
	rules := func(peer string) []gabion.Rule {
		all := make([]gabion.Rule, many)
		for n := range all {
			all[n] = port(uint16(n+1), peer)
			all[n].Description = fmt.Sprint("rule ", n, " of a large group")
		}
		return all
	}
	for _, peer := range []string{db, db, "::/0"} {
		begin := time.Now()
		must(t, only(w.ReplaceRules(ctx, w.org, web, rules(peer))))
		t.Logf("%d rules of peer %s in %s", many, peer, time.Since(begin))
		got, err := w.GroupRules(ctx, w.org, web)
		must(t, err)
		if len(got) != many || got[0].Peer != rules(peer)[0].Peer {
			t.Fatalf("%d rules, the first %v", len(got), got[0])
		}
	}
	w.audit()
}
