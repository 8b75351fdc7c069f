package store_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gabion/gabion"
)

func TestGroupsComeBackAsStoredInOrderOfCreation(t *testing.T) {
	t.Parallel()
	w := open(t)
	want := []gabion.Group{
		{Organization: w.org, Name: gabion.DefaultGroupName, Description: "Default Security Group"},
		{Organization: w.org, Name: "zebra/../x", Description: "with a slash"},
		{Organization: w.org, Name: "Äpfel", Sources: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
	}
	for _, g := range want[1:] {
		must(t, only(w.CreateGroup(t.Context(), g)))
	}
	got, err := w.Groups(t.Context(), w.org)
	must(t, err)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(gabion.Group{}, "ID", "Created"), cmp.Comparer(samePrefix)); diff != "" {
		t.Error(diff)
	}
}

func samePrefix(a, b netip.Prefix) bool { return a == b }

func TestGroupNameIsUnique(t *testing.T) {
	t.Parallel()
	w := open(t)
	id := w.group("web")
	refused(t, only(w.CreateGroup(t.Context(), gabion.Group{Organization: w.org, Name: "web"})), gabion.CodeConflict, "web", id)
	w.group("Web") // case is kept, and counts
	must(t, only(w.CreateGroup(t.Context(), gabion.Group{Organization: w.organization("another"), Name: "web"})))

	must(t, only(w.UpdateGroup(t.Context(), w.org, id, rename("www"))))
	w.group("web")
	refused(t, only(w.UpdateGroup(t.Context(), w.org, id, rename("web"))), gabion.CodeConflict, "web")
	g, err := w.Group(t.Context(), w.org, id)
	must(t, err)
	if g.Name != "www" {
		t.Errorf("a refused change was made: %q", g.Name)
	}
	must(t, only(w.DeleteGroup(t.Context(), w.org, id)))
	w.group("www")
}

func rename(name string) func(*gabion.Group) error {
	return func(g *gabion.Group) error { g.Name = name; return nil }
}

func TestGroupOfAnotherOrganizationDoesNotExist(t *testing.T) {
	t.Parallel()
	w := open(t)
	id := w.group("web")
	_, err := w.Group(t.Context(), "another", id)
	refused(t, err, gabion.CodeNotFound)
	refused(t, only(w.DeleteGroup(t.Context(), "another", id)), gabion.CodeNotFound)
	refused(t, only(w.AddRules(t.Context(), "another", id, []gabion.Rule{port(22, "0.0.0.0/0")})), gabion.CodeNotFound)
	for _, trick := range []string{"", "../group/" + id, id + "/"} {
		_, err := w.Group(t.Context(), w.org, trick)
		refused(t, err, gabion.CodeNotFound)
	}
}

func TestGroupInUseIsNotDeleted(t *testing.T) {
	t.Parallel()
	w := open(t)
	web, db := w.group("web"), w.group("db")
	vm := w.instance("vm1", web)
	w.rule(db, port(5432, web))
	refused(t, only(w.DeleteGroup(t.Context(), w.org, web)), gabion.CodeConflict, `instances "vm1"`, `"db"`, ": detach it and delete those rules first")

	must(t, only(w.AttachGroup(t.Context(), w.org, vm, db, true)))
	must(t, only(w.DetachGroup(t.Context(), w.org, vm, web, true)))
	refused(t, only(w.DeleteGroup(t.Context(), w.org, web)), gabion.CodeConflict, `"db": delete those rules first`)
	refused(t, only(w.DeleteGroup(t.Context(), w.org, db)), gabion.CodeConflict, `instances "vm1": detach it first`)
	rules, err := w.GroupRules(t.Context(), w.org, db)
	must(t, err)
	must(t, only(w.DeleteRule(t.Context(), w.org, db, rules[0].ID)))
	must(t, only(w.DeleteGroup(t.Context(), w.org, web)))
	refused(t, only(w.DeleteGroup(t.Context(), w.org, web)), gabion.CodeNotFound, web)
}

func TestDeletedGroupTakesItsRulesAlong(t *testing.T) {
	t.Parallel()
	w := open(t)
	web, db := w.group("web"), w.group("db")
	w.rule(web, port(22, web)) // names itself: no use by others
	w.rule(web, port(5432, db))
	must(t, only(w.DeleteGroup(t.Context(), w.org, web)))
	must(t, only(w.DeleteGroup(t.Context(), w.org, db))) // nobody names it any more
	rules, err := w.Rules(t.Context(), w.org)
	must(t, err)
	if len(rules) != 0 {
		t.Errorf("left behind: %v", rules)
	}
}

func TestDefaultAndPrimaryGroupStay(t *testing.T) {
	t.Parallel()
	w := open(t)
	primary, err := w.PrimaryGroup(t.Context(), w.org)
	must(t, err)
	refused(t, only(w.DeleteGroup(t.Context(), w.org, primary)), gabion.CodeConflict, "default")
	refused(t, only(w.UpdateGroup(t.Context(), w.org, primary, rename("other"))), gabion.CodeConflict, "default")

	web := w.group("web")
	must(t, only(w.SetPrimaryGroup(t.Context(), w.org, web)))
	refused(t, only(w.DeleteGroup(t.Context(), w.org, web)), gabion.CodeConflict, "primary")
	refused(t, only(w.SetPrimaryGroup(t.Context(), w.org, "none")), gabion.CodeNotFound, "none")
	must(t, only(w.SetPrimaryGroup(t.Context(), w.org, primary)))
	must(t, only(w.DeleteGroup(t.Context(), w.org, web)))
}

func TestSources(t *testing.T) {
	t.Parallel()
	w := open(t)
	web := w.group("web")
	office := netip.MustParsePrefix("198.51.100.0/24")
	must(t, only(w.AddSource(t.Context(), w.org, web, office)))
	refused(t, only(w.AddSource(t.Context(), w.org, web, office)), gabion.CodeConflict, "198.51.100.0/24")
	refused(t, only(w.AddSource(t.Context(), w.org, web, netip.MustParsePrefix("10.1.2.3/8"))), gabion.CodeInvalid, "10.0.0.0/8")
	must(t, only(w.RemoveSource(t.Context(), w.org, web, office)))
	refused(t, only(w.RemoveSource(t.Context(), w.org, web, office)), gabion.CodeNotFound, "198.51.100.0/24")
}
