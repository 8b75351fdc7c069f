package flow

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/gabion/gabion"
)

// record is an account as it is stored. Of the last hour only the sum is kept: read
// back, it counts as of the time of the record.
type record struct {
	Written time.Time             `json:"written"`
	Rules   map[string]storedRule `json:"rules,omitempty"` // by rule id
	Drops   []storedDrop          `json:"drops,omitempty"`
}

type stored struct {
	Life   uint64 `json:"life"`
	Before uint64 `json:"before,omitempty"` // packets of lives that have ended
	Seen   uint64 `json:"seen"`             // packets of this one
	Last   int64  `json:"last,omitempty"`   // Unix time; 0: not known
	Hour   uint64 `json:"hour,omitempty"`   // packets in the hour before it was written
}

type storedRule struct {
	stored
	BytesBefore uint64 `json:"bytes-before,omitempty"`
	BytesSeen   uint64 `json:"bytes"`
}

type storedDrop struct {
	stored
	Instance  string `json:"instance"`
	Interface string `json:"interface"`
	Reason    string `json:"reason"`
}

// Prune forgets what the host counted of rules and instances that are not there any more.
func (l *Ledger) Prune(host string, rule, instance func(id string) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.hosts[host]
	if a == nil {
		return
	}
	for id := range a.rules {
		if !rule(id) {
			delete(a.rules, id)
			l.unlist(a, id)
		}
	}
	maps.DeleteFunc(a.drops, func(key dropKey, _ *counter) bool { return !instance(key.instance) })
}

// Record is the host's account to be stored; nil if nothing is new since the last one.
func (l *Ledger) Record(host string, now time.Time) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.hosts[host]
	if a == nil || !a.changed {
		return nil, nil
	}
	r := record{Written: now, Rules: map[string]storedRule{}}
	for id, c := range a.rules {
		r.Rules[id] = storedRule{c.stored(now), c.before.bytes, c.seen.bytes}
	}
	for key, c := range a.drops {
		r.Drops = append(r.Drops, storedDrop{c.stored(now), key.instance, key.iface, key.reason.String()})
	}
	a.changed, a.written = false, now
	return json.Marshal(r)
}

func (c *counter) stored(now time.Time) stored {
	s := stored{Life: c.life, Before: c.before.packets, Seen: c.seen.packets, Hour: c.recent.sum(now)}
	if !c.last.IsZero() {
		s.Last = c.last.Unix()
	}
	return s
}

// Restore takes over what was recorded of a host, unless what is known of it here
// was recorded later.
func (l *Ledger) Restore(host string, data []byte) error {
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return fmt.Errorf("decode counters of host %s: %w", host, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.hosts[host]; known != nil && !r.Written.After(known.written) {
		return nil
	}
	a := newAccount()
	a.written = r.Written
	for id, s := range r.Rules {
		c := s.counter(r.Written)
		c.before.bytes, c.seen.bytes = s.BytesBefore, s.BytesSeen
		a.rules[id] = c
	}
	for _, s := range r.Drops {
		reason, err := gabion.ParseReason(s.Reason)
		if err != nil {
			continue // a newer server's
		}
		a.drops[dropKey{s.Instance, s.Interface, reason}] = s.counter(r.Written)
	}
	l.replace(host, a)
	return nil
}

func (s stored) counter(written time.Time) *counter {
	c := &counter{life: s.Life, before: amount{packets: s.Before}, seen: amount{packets: s.Seen}}
	if s.Last != 0 {
		c.last = time.Unix(s.Last, 0)
	}
	if s.Hour != 0 {
		c.recent.add(written, s.Hour)
	}
	return c
}
