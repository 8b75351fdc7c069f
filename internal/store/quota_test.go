package store_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/store"
)

// contenders is how many ask at once for what there is not enough of.
const contenders = 200

// TestQuotasHoldUnderContention lets two servers make more than there may be, of
// all that has a quota.
func TestQuotasHoldUnderContention(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		limit int
		words []string
		have  int // before
		make  func(w *world, s *store.Store, i int) error
		count func(u gabion.Usage) int
	}{
		{
			"groups", 130,
			[]string{"organization has 130 of 130 security groups"},
			1 + contenders/2,
			func(w *world, s *store.Store, i int) error {
				return only(s.CreateGroup(w.t.Context(), gabion.Group{Organization: w.org, Name: fmt.Sprint(i)}))
			},
			func(u gabion.Usage) int { return u.Groups },
		},
		{
			"rules", 31,
			[]string{`security group "default" has 31 of 31 rules`},
			0,
			func(w *world, s *store.Store, i int) error {
				return only(s.AddRules(w.t.Context(), w.org, w.primary(), []gabion.Rule{port(uint16(i+1), "0.0.0.0/0")}))
			},
			func(u gabion.Usage) int { return u.RulesPerGroup },
		},
		{
			"groups of an instance", 10,
			[]string{`instance "vm" has 10 of 10 security groups`, "detach one"},
			1,
			func(w *world, s *store.Store, i int) error {
				return only(s.AttachGroup(w.t.Context(), w.org, "vm", fmt.Sprint("g", i%(contenders/2)), false))
			},
			func(u gabion.Usage) int { return u.GroupsPerInstance },
		},
		{
			"instances", 32,
			[]string{"organization has 32 of 32 instances"},
			1,
			func(w *world, s *store.Store, i int) error {
				return only(s.CreateInstance(w.t.Context(), gabion.Instance{Organization: w.org, Name: fmt.Sprint(i)}))
			},
			func(u gabion.Usage) int { return u.Instances },
		},
		{
			"keys", 33,
			[]string{"organization has 33 of 33 API keys: delete one or ask your operator for more"},
			1,
			func(w *world, s *store.Store, i int) error {
				_, err := s.CreateKey(w.t.Context(), gabion.Key{Organization: w.org, Name: fmt.Sprint(i), Scopes: []gabion.Scope{gabion.ScopeRead}})
				return err
			},
			func(u gabion.Usage) int { return u.Keys },
		},
	}
	w := open(t)
	servers := []*store.Store{w.Store, connect(t, w.embedded.Endpoint(), w.dir, w.log())}
	for n := range contenders / 2 {
		must(t, only(w.CreateGroup(t.Context(), gabion.Group{ID: fmt.Sprint("g", n), Organization: w.org, Name: fmt.Sprint("g", n)})))
	}
	must(t, only(w.CreateInstance(t.Context(), gabion.Instance{ID: "vm", Organization: w.org, Name: "vm"})))
	limits := gabion.Quotas{Groups: 130, RulesPerGroup: 31, GroupsPerInstance: 10, Instances: 32, Keys: 33}
	must(t, only(w.UpdateOrganization(t.Context(), w.org, func(o *gabion.Organization) error { o.Quotas = limits; return nil })))
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			made := 0
			for _, err := range together(contenders, func(i int) error { return tt.make(w, servers[i%2], i) }) {
				if err == nil {
					made++
				} else if gabion.CodeOf(err) != gabion.CodeConflict || tt.name != "groups of an instance" {
					refused(t, err, gabion.CodeLimit, tt.words...)
				}
			}
			if made != tt.limit-tt.have {
				t.Errorf("%d were made where there was room for %d", made, tt.limit-tt.have)
			}
			u, err := w.Usage(t.Context(), w.org)
			must(t, err)
			if got := tt.count(u); got != tt.limit {
				t.Errorf("there are %d of %d", got, tt.limit)
			}
		})
	}
	w.audit()
}

// primary is the id of the primary group.
func (w *world) primary() string {
	w.t.Helper()
	id, err := w.PrimaryGroup(w.t.Context(), w.org)
	must(w.t, err)
	return id
}

func TestLoweredQuotasTakeNothingAway(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx := t.Context()
	web, db := w.group("web"), w.group("db")
	vm := w.instance("vm", web, db)
	w.made(w.AddRules(ctx, w.org, web, []gabion.Rule{port(1, web), port(2, web), port(3, web)}))
	lowest := gabion.Quotas{Groups: 1, RulesPerGroup: 1, GroupsPerInstance: 1, Instances: 0, Keys: 1}
	must(t, only(w.UpdateOrganization(ctx, w.org, func(o *gabion.Organization) error { o.Quotas = lowest; return nil })))

	must(t, only(w.UpdateInstance(ctx, w.org, vm, func(i *gabion.Instance) error { i.Name = "renamed"; return nil })))
	must(t, only(w.DetachGroup(ctx, w.org, vm, db, false)))
	must(t, only(w.UpdateGroup(ctx, w.org, web, rename("www"))))
	refused(t, only(w.AttachGroup(ctx, w.org, vm, db, false)), gabion.CodeLimit, "1 of 1")
	refused(t, only(w.AddRules(ctx, w.org, web, []gabion.Rule{port(4, web), port(5, web)})), gabion.CodeLimit, "3 of 1 rules", "2 more")
	refused(t, only(w.ReplaceRules(ctx, w.org, web, []gabion.Rule{port(4, web), port(5, web)})), gabion.CodeLimit, "1 rules")
	must(t, only(w.ReplaceRules(ctx, w.org, web, []gabion.Rule{port(2, web)})))
	got, err := w.Usage(ctx, w.org)
	must(t, err)
	if diff := cmp.Diff(gabion.Usage{Groups: 3, RulesPerGroup: 1, GroupsPerInstance: 1, Instances: 1, Keys: 1}, got); diff != "" {
		t.Error(diff)
	}
	_, err = w.Usage(ctx, "none")
	refused(t, err, gabion.CodeNotFound, "none")
}
