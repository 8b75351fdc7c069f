package flow

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gabion/gabion"
)

// RuleCount is what passed because of a rule on a host, in one life of its counter.
type RuleCount struct {
	Rule           string
	Life           uint64
	Packets, Bytes uint64
}

// DropCount is how many packets a host dropped at an interface for a reason, in
// one life of its counter.
type DropCount struct {
	Instance, Interface string
	Reason              gabion.Reason
	Life                uint64
	Packets             uint64
}

// Counts are counters of one host. Within a life they never go back.
type Counts struct {
	Rules []RuleCount
	Drops []DropCount
	All   bool // the host's first: nobody knows when what is new in it happened
}

// Hits is what passed because of a rule, over all hosts.
type Hits struct {
	Packets, Bytes uint64
	LastHour       uint64    // packets
	Last           time.Time // zero: not known
}

// Drop is what was dropped at an interface for a reason.
type Drop struct {
	Instance, Interface string
	Reason              gabion.Reason
	Packets             uint64
	Last                time.Time // zero: not known
}

// Ledger keeps the totals of hosts. What a host counts is added to what it had
// counted in former lives: so totals neither go back nor count twice, whatever
// restarts. It is safe for concurrent use.
type Ledger struct {
	mu    sync.Mutex
	hosts map[string]*account
	rules map[string]map[*account]*counter // what accounts have, by rule id
}

// account is the totals of one host.
type account struct {
	rules   map[string]*counter
	drops   map[dropKey]*counter
	changed bool      // since it was recorded
	written time.Time // when it was recorded
}

type dropKey struct {
	instance, iface string
	reason          gabion.Reason
}

// NewLedger is a ledger without hosts.
func NewLedger() *Ledger {
	return &Ledger{hosts: map[string]*account{}, rules: map[string]map[*account]*counter{}}
}

func newAccount() *account {
	return &account{rules: map[string]*counter{}, drops: map[dropKey]*counter{}}
}

func (l *Ledger) account(host string) *account {
	a := l.hosts[host]
	if a == nil {
		a = newAccount()
		l.hosts[host] = a
	}
	return a
}

// Count takes in what a host counts.
func (l *Ledger) Count(host string, counts Counts, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.account(host)
	for _, r := range counts.Rules {
		c := counterOf(a.rules, r.Rule)
		l.list(a, r.Rule, c)
		a.changed = c.count(r.Life, amount{r.Packets, r.Bytes}, now, counts.All) || a.changed
	}
	for _, d := range counts.Drops {
		key := dropKey{d.Instance, d.Interface, d.Reason}
		a.changed = counterOf(a.drops, key).count(d.Life, amount{packets: d.Packets}, now, counts.All) || a.changed
	}
}

func counterOf[K comparable](all map[K]*counter, key K) *counter {
	c := all[key]
	if c == nil {
		c = &counter{}
		all[key] = c
	}
	return c
}

// list lets the rule's counter in the account be found by the rule.
func (l *Ledger) list(a *account, rule string, c *counter) {
	if l.rules[rule] == nil {
		l.rules[rule] = map[*account]*counter{}
	}
	l.rules[rule][a] = c
}

func (l *Ledger) unlist(a *account, rule string) {
	delete(l.rules[rule], a)
	if len(l.rules[rule]) == 0 {
		delete(l.rules, rule)
	}
}

// replace lets the host have another account, or none.
func (l *Ledger) replace(host string, next *account) {
	if old := l.hosts[host]; old != nil {
		for rule := range old.rules {
			l.unlist(old, rule)
		}
	}
	delete(l.hosts, host)
	if next == nil {
		return
	}
	l.hosts[host] = next
	for rule, c := range next.rules {
		l.list(next, rule, c)
	}
}

// Forget drops a host, whatever it counted.
func (l *Ledger) Forget(host string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.replace(host, nil)
}

// Hits are the totals of those of the rules that were counted, over all hosts, by rule
// id.
func (l *Ledger) Hits(now time.Time, rules []string) map[string]Hits {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[string]Hits{}
	for _, id := range rules {
		for _, c := range l.rules[id] {
			all[id] = all[id].with(c, now)
		}
	}
	return all
}

func (h Hits) with(c *counter, now time.Time) Hits {
	total := c.total()
	h.Packets += total.packets
	h.Bytes += total.bytes
	h.LastHour += c.recent.sum(now)
	if c.last.After(h.Last) {
		h.Last = c.last
	}
	return h
}

// Drops are what was dropped at the instance's interfaces, by interface and reason.
func (l *Ledger) Drops(instance string) []Drop {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []Drop
	for _, a := range l.hosts {
		for key, c := range a.drops {
			if key.instance == instance {
				all = append(all, Drop{key.instance, key.iface, key.reason, c.total().packets, c.last})
			}
		}
	}
	slices.SortFunc(all, func(a, b Drop) int {
		if by := strings.Compare(a.Interface, b.Interface); by != 0 {
			return by
		}
		return int(a.Reason) - int(b.Reason)
	})
	return all
}

// Reasons are how many packets were dropped for each reason, over all hosts.
func (l *Ledger) Reasons() map[gabion.Reason]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[gabion.Reason]uint64{}
	for _, a := range l.hosts {
		for key, c := range a.drops {
			all[key.reason] += c.total().packets
		}
	}
	return all
}
