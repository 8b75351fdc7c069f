package store

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gabion/gabion"
)

// holder is the value of a key that stands for something only one may have.
type holder struct {
	ID           string `json:"id,omitempty"`
	Organization string `json:"organization,omitempty"`
}

// claim takes a key for h. If another has it, taken makes the error of that.
func (t *txn) claim(key string, h holder, taken func(holder) error) error {
	if other, mine := t.claims[key]; mine {
		return taken(other)
	}
	kv, err := t.get(key)
	if err != nil {
		return err
	}
	if kv != nil {
		other, err := valueOf[holder](kv)
		if err != nil {
			return err
		}
		return taken(other)
	}
	t.claims[key] = h
	return t.put(key, h)
}

// requireNew refuses an id that an object of that kind has.
func (t *txn) requireNew(kind, id, key string) error {
	kv, err := t.get(key)
	if err != nil {
		return err
	}
	_, twice := t.claims[key]
	if kv != nil || twice {
		return gabion.Conflict("there is a %s with the id %s already", kind, id)
	}
	t.claims[key] = holder{ID: id}
	return nil
}

// nameOf is what people call the object at key, for messages: its id if the
// object is gone meanwhile.
func (t *txn) nameOf(key string) string {
	kv, err := t.get(key)
	if err == nil && kv != nil {
		var named struct{ Name string }
		if json.Unmarshal(kv.Value, &named) == nil && named.Name != "" {
			return named.Name
		}
	}
	return key[strings.LastIndex(key, "/")+1:]
}

// mostNamed is how many users a message names.
const mostNamed = 10

// refuseUsed reports who uses the group: instances that are in it, and other
// groups with rules that name it. It is nil if nobody does, and guards that.
func (t *txn) refuseUsed(org, group, name string) error {
	prefix := usePrefix(org, group)
	uses, err := t.list(prefix)
	if err != nil {
		return err
	}
	if len(uses) == 0 {
		return nil
	}
	var instances, groups []string
	for _, kv := range uses {
		kind, rest, _ := strings.Cut(strings.TrimPrefix(string(kv.Key), prefix), "/")
		if kind == "instance" {
			instances = append(instances, instanceKey(org, rest))
			continue
		}
		by, _, _ := strings.Cut(rest, "/")
		groups = append(groups, groupKey(org, by))
	}
	var users, remedies []string
	if len(instances) > 0 {
		users = append(users, "instances "+t.enumerate(instances))
		remedies = append(remedies, "detach it")
	}
	if len(groups) > 0 {
		users = append(users, "rules of security groups "+t.enumerate(slices.Compact(groups)))
		remedies = append(remedies, "delete those rules")
	}
	return gabion.Conflict("security group %q is in use by %s: %s first",
		name, strings.Join(users, " and "), strings.Join(remedies, " and "))
}

// enumerate names the objects at keys.
func (t *txn) enumerate(keys []string) string {
	shown := keys[:min(len(keys), mostNamed)]
	names := make([]string, len(shown))
	for i, key := range shown {
		names[i] = fmt.Sprintf("%q", t.nameOf(key))
	}
	text := strings.Join(names, ", ")
	if more := len(keys) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
