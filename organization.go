package gabion

import (
	"fmt"
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

// Validate reports the first thing that keeps the organization from being stored.
func (o *Organization) Validate() error {
	if err := ValidateName("name", o.Name); err != nil {
		return err
	}
	if err := o.validateHosts(); err != nil {
		return err
	}
	return o.Quotas.validate()
}

func (o *Organization) validateHosts() error {
	for i, host := range o.Hosts {
		field := fmt.Sprintf("hosts[%d]", i)
		if slices.Contains(o.Hosts[:i], host) {
			return Invalid(field, "%q is there twice; name it once", host)
		}
		if host == AnyHost {
			continue
		}
		if err := ValidateHostName(field, host); err != nil {
			return err
		}
	}
	return nil
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

// validate holds the quotas to what the rest of the system can carry.
func (q Quotas) validate() error {
	for _, limit := range []struct {
		field             string
		value, from, most int
	}{
		{"quotas.security-groups", q.Groups, 1, 100_000},
		{"quotas.rules-per-security-group", q.RulesPerGroup, 1, 100_000},
		{"quotas.security-groups-per-instance", q.GroupsPerInstance, 1, MaxGroupsPerInstance},
		{"quotas.instances", q.Instances, 0, 1_000_000},
		{"quotas.api-keys", q.Keys, 1, 10_000},
	} {
		if limit.value < limit.from || limit.value > limit.most {
			return Invalid(limit.field, "%d is out of range; give %d to %d", limit.value, limit.from, limit.most)
		}
	}
	return nil
}

// Usage is how much an organization has of what its quotas bound; for groups' rules
// and instances' groups, of the one that has most.
type Usage = Quotas
