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
	all      ask[T] // nil for what is part of something else
}

// ask is a call that answers a list.
type ask[T any] func(*client.Client, context.Context) ([]T, error)

var (
	groups = kind[rest.SecurityGroup]{
		"group", "gabion group list",
		func(g rest.SecurityGroup) (string, string) { return g.ID, g.Name }, (*client.Client).Groups,
	}
	// instances may share a name, and so may keys.
	instances = kind[rest.Instance]{
		"instance", "gabion instance list",
		func(i rest.Instance) (string, string) { return i.ID, i.Name }, (*client.Client).Instances,
	}
	hosts = kind[rest.Host]{
		"host", "gabion host list",
		func(h rest.Host) (string, string) { return h.Name, h.Name }, (*client.Client).Hosts,
	}
	keys = kind[rest.APIKey]{
		"key", "gabion key list",
		func(k rest.APIKey) (string, string) { return k.Key, k.Name }, (*client.Client).Keys,
	}
	organizations = kind[rest.Organization]{
		"organization", "gabion organization list",
		func(o rest.Organization) (string, string) { return o.ID, o.Name }, (*client.Client).Organizations,
	}
)

// rulesIn are those of one group. They have no names.
func rulesIn(group string) kind[rest.SecurityGroupRule] {
	return kind[rest.SecurityGroupRule]{
		"rule", "gabion rule list " + group,
		func(r rest.SecurityGroupRule) (string, string) { return r.ID, "" }, nil,
	}
}

// named asks the server for the one thing that wanted names.
func (k kind[T]) named(ctx context.Context, a *app, wanted string) (*client.Client, T, error) {
	var none T
	c, err := a.client()
	if err != nil {
		return nil, none, err
	}
	all, err := k.all(c, ctx)
	if err != nil {
		return nil, none, err
	}
	found, err := k.find(all, wanted)
	return c, found, err
}

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
