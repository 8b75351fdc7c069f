package store

import (
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
)

// Event is what one revision changed. A revision that changed nothing of what
// an event tells has an event too: whoever waits for it sees it pass.
type Event struct {
	Change    policy.Change
	Statuses  []gabion.HostStatus // of a snapshot also one without a revision for every host, before its own
	GoneHosts []string
	// Lost says that history is no longer complete from here: take a snapshot
	// and watch from there. It is the last event of its watch.
	Lost bool
}

// put adds what a key was set to.
func (s *Store) put(e *Event, kv *mvccpb.KeyValue) {
	switch placeOf(kv.Key).kind {
	case "group":
		if g, err := decodeGroup(kv); s.readable(kv, err) {
			e.Change.Groups = append(e.Change.Groups, &g)
		}
	case "rule":
		if r, err := decodeRule(kv); s.readable(kv, err) {
			e.Change.Rules = append(e.Change.Rules, &r)
		}
	case "instance":
		if i, err := decodeInstance(kv); s.readable(kv, err) {
			e.Change.Instances = append(e.Change.Instances, &i)
		}
	case "host-status":
		if status, err := decodeStatus(kv); s.readable(kv, err) {
			e.Statuses = append(e.Statuses, status)
		}
	}
}

// gone adds that a key was deleted.
func (s *Store) gone(e *Event, kv *mvccpb.KeyValue) {
	s.readable(kv, nil) // what is gone can't be poisoned
	switch at := placeOf(kv.Key); at.kind {
	case "group":
		e.Change.GoneGroups = append(e.Change.GoneGroups, at.rest)
	case "rule":
		_, id, _ := strings.Cut(at.rest, "/")
		e.Change.GoneRules = append(e.Change.GoneRules, id)
	case "instance":
		e.Change.GoneInstances = append(e.Change.GoneInstances, at.rest)
	case "host":
		e.GoneHosts = append(e.GoneHosts, at.rest)
	}
}
