package policy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/gabion/gabion"
)

// Directory is the groups or the instances of one organization in order of their
// names. It does not change, so whoever reads it holds nobody up: the world makes
// another one when somebody asks after something has changed.
type Directory[T any] struct{ entries []*entry[T] }

// entry is an object with what it is sorted and found by.
type entry[T any] struct {
	object   *T
	name, id string
	folded   string // the name in lower case
	text     string // all that it is found by, in lower case, with separators between
}

// separator stands between texts and is in none of them: names have no control characters.
const separator = "\x00"

func newEntry[T any](object *T, name, id string, more ...string) *entry[T] {
	folded := strings.ToLower(name)
	text := folded + separator + strings.ToLower(id+separator+strings.Join(more, separator))
	return &entry[T]{object: object, name: name, id: id, folded: text[:len(folded)], text: text}
}

func groupEntry(g *gabion.Group) *entry[gabion.Group] {
	return newEntry(g, g.Name, g.ID, g.Description)
}

func instanceEntry(i *gabion.Instance) *entry[gabion.Instance] {
	more := []string{i.Host}
	for _, a := range addresses(i) {
		more = append(more, a.String())
	}
	return newEntry(i, i.Name, i.ID, more...)
}

// compareNames orders like people do; what differs in case only, or not at all, has
// an order, too, so that no page shows twice what another one left out.
func compareNames[T any](a, b *entry[T]) int {
	return cmp.Or(strings.Compare(a.folded, b.folded), strings.Compare(a.name, b.name), strings.Compare(a.id, b.id))
}

// Find returns limit objects from offset on of those that contain the text in any
// case, and that are wanted if wanted is not nil; and how many there are of them.
func (d Directory[T]) Find(text string, offset, limit int, wanted func(*T) bool) (page []*T, total int) {
	text = strings.ToLower(text)
	if strings.Contains(text, separator) {
		return nil, 0
	}
	for _, e := range d.entries {
		if text != "" && !strings.Contains(e.text, text) || wanted != nil && !wanted(e.object) {
			continue
		}
		if total >= offset && len(page) < limit {
			page = append(page, e.object)
		}
		total++
	}
	return page, total
}

// Named are the objects of exactly that name.
func (d Directory[T]) Named(name string) []*T {
	var found []*T
	first, _ := slices.BinarySearchFunc(d.entries, newEntry[T](nil, name, ""), compareNames)
	for _, e := range d.entries[first:] {
		if e.name != name {
			break
		}
		found = append(found, e.object)
	}
	return found
}

// roll makes the directories of one organization. It only notes what changes, and
// sorts that in when it is asked.
type roll[T any] struct {
	listed map[string]*entry[T] // by id
	sorted []*entry[T]          // the same; never changed in place
	fresh  map[string]*T        // what became of ids since; nil: gone
}

// note lets the object of that id be next, nil if it is gone.
func (r *roll[T]) note(id string, next *T) {
	if next == nil && r.listed[id] == nil {
		delete(r.fresh, id)
		return
	}
	r.fresh[id] = next
}

func (r *roll[T]) isEmpty() bool { return len(r.listed)+len(r.fresh) == 0 }

// directory costs a pass over all, and the sorting of what has changed.
func (r *roll[T]) directory(describe func(*T) *entry[T]) Directory[T] {
	if len(r.fresh) == 0 {
		return Directory[T]{r.sorted}
	}
	var came, went []*entry[T]
	for id, object := range r.fresh {
		if old := r.listed[id]; old != nil {
			went = append(went, old)
			delete(r.listed, id)
		}
		if object != nil {
			e := describe(object)
			came = append(came, e)
			r.listed[id] = e
		}
	}
	slices.SortFunc(came, compareNames)
	slices.SortFunc(went, compareNames)
	r.sorted, r.fresh = merge(r.sorted, came, went), map[string]*T{}
	return Directory[T]{r.sorted}
}

// merge is old with what came and without what went, all three in order.
func merge[T any](old, came, went []*entry[T]) []*entry[T] {
	all := make([]*entry[T], 0, len(old)+len(came)-len(went))
	for _, e := range old {
		if len(went) > 0 && went[0] == e {
			went = went[1:]
			continue
		}
		for len(came) > 0 && compareNames(came[0], e) < 0 {
			all, came = append(all, came[0]), came[1:]
		}
		all = append(all, e)
	}
	return append(all, came...)
}

// rolls are those of all organizations.
type rolls[T any] map[string]*roll[T]

func (all rolls[T]) note(organization, id string, next *T) {
	r := all[organization]
	if r == nil {
		r = &roll[T]{listed: map[string]*entry[T]{}, fresh: map[string]*T{}}
		all[organization] = r
	}
	r.note(id, next)
	if r.isEmpty() {
		delete(all, organization)
	}
}

func (all rolls[T]) directory(organization string, describe func(*T) *entry[T]) Directory[T] {
	if r := all[organization]; r != nil {
		return r.directory(describe)
	}
	return Directory[T]{}
}

// Groups are all groups of the organization.
func (w *World) Groups(organization string) Directory[gabion.Group] {
	return w.groupRolls.directory(organization, groupEntry)
}

// Instances are all instances of the organization.
func (w *World) Instances(organization string) Directory[gabion.Instance] {
	return w.instanceRolls.directory(organization, instanceEntry)
}
