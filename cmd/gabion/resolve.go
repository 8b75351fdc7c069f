package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
)

// Ids are shown short, and taken by any beginning of at least minPrefix characters.
const (
	shortID   = 8
	minPrefix = 4
)

func short(id string) string { return id[:min(shortID, len(id))] }

// kind says how things of one kind are found and called.
type kind[T any] struct {
	noun     string // such as "group"
	list     string // command that lists them
	identity func(T) (id, name string)
}

var (
	groups = kind[rest.SecurityGroup]{"group", "gabion group list", func(g rest.SecurityGroup) (string, string) { return g.ID, g.Name }}
	// instances may share a name.
	instances = kind[rest.Instance]{"instance", "gabion instance list", func(i rest.Instance) (string, string) { return i.ID, i.Name }}
	rules     = kind[rest.SecurityGroupRule]{"rule", "gabion rule list", func(r rest.SecurityGroupRule) (string, string) { return r.ID, "" }}
)

// find is the one thing that wanted names: by id, by name, or by an id's beginning.
func (k kind[T]) find(all []T, wanted string) (T, error) {
	for _, matches := range []func(id, name string) bool{
		func(id, _ string) bool { return id == wanted },
		func(_, name string) bool { return name == wanted },
		func(id, _ string) bool { return len(wanted) >= minPrefix && strings.HasPrefix(id, wanted) },
	} {
		if found := k.filter(all, matches); len(found) > 0 {
			return k.only(found, wanted)
		}
	}
	var none T
	return none, &gabion.Error{
		Code:    gabion.CodeNotFound,
		Message: fmt.Sprintf("no %s %q; %s shows what there is", k.noun, wanted, k.list),
	}
}

func (k kind[T]) filter(all []T, matches func(id, name string) bool) []T {
	var found []T
	for _, item := range all {
		if matches(k.identity(item)) {
			found = append(found, item)
		}
	}
	return found
}

// only refuses to guess between several.
func (k kind[T]) only(found []T, wanted string) (T, error) {
	if len(found) == 1 {
		return found[0], nil
	}
	ids := make([]string, len(found))
	for i, item := range found {
		id, _ := k.identity(item)
		ids[i] = short(id)
	}
	var none T
	return none, &gabion.Error{
		Code:    gabion.CodeConflict,
		Message: fmt.Sprintf("%q is %d %ss; say which by id: %s", wanted, len(found), k.noun, strings.Join(ids, ", ")),
	}
}

// group finds a group by name or id.
func (a *app) group(ctx context.Context, wanted string) (*client.Client, rest.SecurityGroup, error) {
	c, err := a.client()
	if err != nil {
		return nil, rest.SecurityGroup{}, err
	}
	all, err := c.Groups(ctx)
	if err != nil {
		return nil, rest.SecurityGroup{}, err
	}
	found, err := groups.find(all, wanted)
	return c, found, err
}

// instance finds an instance by name or id.
func (a *app) instance(ctx context.Context, wanted string) (*client.Client, rest.Instance, error) {
	c, err := a.client()
	if err != nil {
		return nil, rest.Instance{}, err
	}
	all, err := c.Instances(ctx)
	if err != nil {
		return nil, rest.Instance{}, err
	}
	found, err := instances.find(all, wanted)
	return c, found, err
}
