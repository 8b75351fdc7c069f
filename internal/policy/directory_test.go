package policy_test

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
)

// listing is what a directory is held against: a scan of all objects.
type listing[T any] struct {
	objects map[string]*T
	of      func(*T) (organization, name, id string)
	texts   func(*T) []string
}

func (l listing[T]) find(org, text string) (found []*T) {
	for _, o := range l.objects {
		owner, _, _ := l.of(o)
		contains := slices.ContainsFunc(l.texts(o), func(s string) bool {
			return strings.Contains(strings.ToLower(s), strings.ToLower(text))
		})
		if owner == org && contains {
			found = append(found, o)
		}
	}
	slices.SortFunc(found, func(a, b *T) int {
		_, aName, aID := l.of(a)
		_, bName, bID := l.of(b)
		return cmp.Or(strings.Compare(strings.ToLower(aName), strings.ToLower(bName)), strings.Compare(aName, bName), strings.Compare(aID, bID))
	})
	return found
}

func (l listing[T]) named(org, name string) (found []*T) {
	for _, o := range l.find(org, "") {
		if _, n, _ := l.of(o); n == name {
			found = append(found, o)
		}
	}
	return found
}

func (z *zone) groupListing() listing[gabion.Group] {
	return listing[gabion.Group]{
		z.groups,
		func(g *gabion.Group) (string, string, string) { return g.Organization, g.Name, g.ID },
		func(g *gabion.Group) []string { return []string{g.Name, g.ID, g.Description} },
	}
}

func (z *zone) instanceListing() listing[gabion.Instance] {
	return listing[gabion.Instance]{
		z.instances,
		func(i *gabion.Instance) (string, string, string) { return i.Organization, i.Name, i.ID },
		func(i *gabion.Instance) []string {
			texts := []string{i.Name, i.ID, i.Host}
			for _, n := range i.NICs {
				for _, a := range n.Addresses {
					texts = append(texts, a.String())
				}
			}
			return texts
		},
	}
}

// standing counts from nothing but the objects.
func (z *zone) standing(id string) policy.Standing {
	var s policy.Standing
	g := z.groups[id]
	if g == nil {
		return s
	}
	users := map[string]bool{}
	for _, r := range z.rules {
		holder := z.groups[r.Group]
		if r.Group == id {
			s.Rules++
		} else if r.Peer.Group == id && holder != nil && holder.Organization == g.Organization {
			users[r.Group] = true
		}
	}
	for _, i := range z.instances {
		if slices.Contains(i.Groups, id) && z.holds(i, id) {
			s.Members++
		}
	}
	s.Users = len(users)
	return s
}

// names are drawn so that case, order and equality matter.
var someNames = []string{"web", "Web", "WEB", "web1", "db", "Äpfel", "äpfel", "a b", "zz", "web"}

func renamed(t *rapid.T, c policy.Change) policy.Change {
	for _, g := range c.Groups {
		g.Name = rapid.SampledFrom(someNames).Draw(t, "group name")
		g.Description = rapid.SampledFrom([]string{"", "Serves the Web"}).Draw(t, "description")
	}
	for _, i := range c.Instances {
		i.Name = rapid.SampledFrom(someNames).Draw(t, "instance name")
	}
	return c
}

// searches are what people type, and what nobody does.
var searches = []string{"", "w", "WEB", "web1", "ä", "h1", "10.", "i3", "serves", " ", "\x00", "web\x00", "\xff", "web\xff", "%", ".*", "nobody", strings.Repeat("w", 255)}

func TestDirectoriesAreWhatAScanFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, z := policy.NewWorld(), newZone()
		for n := range rapid.IntRange(1, 12).Draw(t, "changes") {
			c := renamed(t, anyChange(t))
			c.Revision = int64(n + 1)
			w.Apply(c)
			z.apply(c)
			if rapid.Bool().Draw(t, "nobody looks") {
				continue
			}
			org := rapid.SampledFrom(organizations).Draw(t, "org")
			sameFinds(t, w.Groups(org), z.groupListing(), org)
			sameFinds(t, w.Instances(org), z.instanceListing(), org)
			for _, id := range groupIDs {
				if diff := gocmp.Diff(z.standing(id), w.Standing(id)); diff != "" {
					t.Fatalf("group %s (-want +got):\n%s", id, diff)
				}
			}
		}
	})
}

func sameFinds[T any](t *rapid.T, d policy.Directory[T], l listing[T], org string) {
	text := rapid.SampledFrom(searches).Draw(t, "search")
	want := l.find(org, text)
	offset, limit := rapid.IntRange(0, 7).Draw(t, "offset"), rapid.IntRange(1, 7).Draw(t, "limit")
	page, total := d.Find(text, offset, limit, nil)
	if total != len(want) {
		t.Fatalf("%q finds %d, want %d", text, total, len(want))
	}
	begin := min(offset, len(want))
	if want := want[begin:min(begin+limit, len(want))]; !slices.Equal(want, page) {
		t.Fatalf("%q from %d, %d of them: %s", text, offset, limit, gocmp.Diff(want, page))
	}
	name := rapid.SampledFrom(someNames).Draw(t, "name")
	if want, got := l.named(org, name), d.Named(name); !slices.Equal(want, got) {
		t.Fatalf("called %q: %s", name, gocmp.Diff(want, got))
	}
}

func TestADirectoryStaysWhatItWas(t *testing.T) {
	w := policy.NewWorld()
	w.Apply(policy.Change{Revision: 1, Groups: []*gabion.Group{
		{ID: "1", Organization: "o", Name: "a"}, {ID: "2", Organization: "o", Name: "b"}, {ID: "3", Organization: "o", Name: "c"},
	}})
	before := w.Groups("o")
	want, _ := before.Find("", 0, 10, nil)
	w.Apply(policy.Change{Revision: 2, GoneGroups: []string{"2"}, Groups: []*gabion.Group{
		{ID: "0", Organization: "o", Name: "0"}, {ID: "3", Organization: "o", Name: "A"},
	}})
	after, _ := w.Groups("o").Find("", 0, 10, nil)
	if got, _ := before.Find("", 0, 10, nil); !slices.Equal(want, got) {
		t.Errorf("a change reached a directory that was handed out: %v", got)
	}
	var names []string
	for _, g := range after {
		names = append(names, g.Name)
	}
	if diff := gocmp.Diff([]string{"0", "A", "a"}, names); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestPagesTileTheWhole holds that pages, one after the other, are the whole, each
// object once: also of instances of one and the same name.
func TestPagesTileTheWhole(t *testing.T) {
	w := policy.NewWorld()
	instances := map[string]*gabion.Instance{}
	for n := range 997 {
		i := &gabion.Instance{ID: strings.Repeat("x", n%7) + string(rune('a'+n%26)) + string(rune(0x4e00+n)), Organization: "o", Name: someNames[n%len(someNames)]}
		instances[i.ID] = i
	}
	w.Apply(policy.Change{Revision: 1, Instances: slices.Collect(maps.Values(instances))})
	d := w.Instances("o")
	for offset := 0; ; offset += 10 {
		page, total := d.Find("", offset, 10, nil)
		if total != 997 {
			t.Fatalf("there are %d, want 997", total)
		}
		if len(page) == 0 {
			break
		}
		for _, i := range page {
			if instances[i.ID] == nil {
				t.Errorf("%q is on two pages", i.ID)
			}
			delete(instances, i.ID)
		}
	}
	if len(instances) > 0 {
		t.Errorf("%d are on no page", len(instances))
	}
}
