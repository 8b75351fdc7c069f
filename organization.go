package gabion

import (
	"slices"
	"time"
)

// Organization owns groups, instances and keys, and sees no others.
type Organization struct {
	ID      string
	Name    string // unique in the installation
	Created time.Time
	Quotas  Quotas
	Hosts   []string // on which it may place instances; AnyHost is every one
}

// AnyHost stands for every host in Organization.Hosts.
const AnyHost = "*"

// MayUse tells whether the organization may place instances on the host.
func (o Organization) MayUse(host string) bool {
	return slices.Contains(o.Hosts, AnyHost) || slices.Contains(o.Hosts, host)
}

// Quotas are how much an organization may have.
type Quotas struct {
	Groups            int
	RulesPerGroup     int
	GroupsPerInstance int
	Instances         int
	Keys              int
}

// DefaultQuotas are those of an organization for which none were given.
func DefaultQuotas() Quotas {
	return Quotas{Groups: 1000, RulesPerGroup: 1000, GroupsPerInstance: 16, Instances: 10000, Keys: 100}
}

// Usage is how much an organization has of what its quotas bound; for groups' rules
// and instances' groups, of the one that has most.
type Usage = Quotas
