package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/gabion/gabion"
)

type organizationRecord struct {
	Name    string        `json:"name"`
	Created time.Time     `json:"created,omitzero"`
	Quotas  *quotasRecord `json:"quotas,omitempty"` // nil: the default ones, from before there were any
	Hosts   []string      `json:"hosts,omitempty"`
	Gone    bool          `json:"gone,omitempty"` // deleted; what is left of it is being removed
}

type quotasRecord struct {
	Groups            int `json:"security-groups"`
	RulesPerGroup     int `json:"rules-per-security-group"`
	GroupsPerInstance int `json:"security-groups-per-instance"`
	Instances         int `json:"instances"`
	Keys              int `json:"api-keys"`
}

func organizationOf(o gabion.Organization) organizationRecord {
	quotas := quotasRecord(o.Quotas)
	return organizationRecord{Name: o.Name, Created: o.Created, Quotas: &quotas, Hosts: o.Hosts}
}

// errGone marks an organization that was deleted and is not removed yet.
var errGone = errors.New("the organization is gone")

func decodeOrganization(kv *mvccpb.KeyValue) (gabion.Organization, error) {
	var r organizationRecord
	if err := json.Unmarshal(kv.Value, &r); err != nil {
		return gabion.Organization{}, fmt.Errorf("decode %s: %w", kv.Key, err)
	}
	o := gabion.Organization{
		ID: placeOf(kv.Key).rest, Name: r.Name, Created: r.Created, Quotas: gabion.DefaultQuotas(), Hosts: r.Hosts,
	}
	if r.Quotas != nil {
		o.Quotas = gabion.Quotas(*r.Quotas)
	}
	if r.Gone {
		return o, errGone
	}
	return o, nil
}

// Organizations are all organizations, in order of creation.
func (s *Store) Organizations(ctx context.Context) ([]gabion.Organization, error) {
	found, err := all(ctx, s, organizationPrefix, func(kv *mvccpb.KeyValue) (gabion.Organization, error) {
		o, err := decodeOrganization(kv)
		if errors.Is(err, errGone) {
			return gabion.Organization{}, nil
		}
		return o, err
	})
	return slices.DeleteFunc(found, func(o gabion.Organization) bool { return o.ID == "" }), err
}

// Organization is one organization.
func (s *Store) Organization(ctx context.Context, id string) (gabion.Organization, error) {
	o, err := one(ctx, s, organizationKind, id, organizationKey(id), decodeOrganization)
	if errors.Is(err, errGone) {
		return gabion.Organization{}, gabion.NotFound(organizationKind, id)
	}
	return o, err
}

// organization reads an organization inside a transaction.
func (t *txn) organization(id string) (gabion.Organization, error) {
	o, err := object(t, organizationKind, id, organizationKey(id), decodeOrganization)
	if errors.Is(err, errGone) {
		return gabion.Organization{}, gabion.NotFound(organizationKind, id)
	}
	return o, err
}

// installation is a command on what is above organizations.
func installation(name, kind, subject string, reads ...string) command {
	return command{org: gabion.InstallationLog, name: name, kind: kind, subject: subject, reads: reads}
}

// LastChange is the revision of the newest change of the organization, by whichever
// server it was made: each writes the head of the organization's log. What hosts
// observe is no such change.
func (s *Store) LastChange(ctx context.Context, org string) (int64, error) {
	found, err := s.gets(ctx, auditHeadKey(org), organizationKey(org))
	if err != nil {
		return 0, err
	}
	revision := int64(0)
	for _, kv := range found {
		if kv != nil {
			revision = max(revision, kv.ModRevision)
		}
	}
	return revision, nil
}

// CreateOrganization stores a new organization with its default group, which is
// the primary one. Without quotas it gets the default ones.
func (s *Store) CreateOrganization(ctx context.Context, o gabion.Organization) (gabion.Operation, error) {
	o.ID, o.Created = uuid.NewString(), now()
	if o.Quotas == (gabion.Quotas{}) {
		o.Quotas = gabion.DefaultQuotas()
	}
	if err := o.Validate(); err != nil {
		return gabion.Operation{}, err
	}
	c := installation("create-organization", organizationKind, o.ID, organizationNameKey(o.Name))
	return s.change(ctx, c, func(t *txn) error {
		t.after = organizationSaid(o)
		return t.createOrganization(o)
	})
}

// createOrganization makes an organization as all are born: with a group called
// default, without rules, that is the primary one.
func (t *txn) createOrganization(o gabion.Organization) error {
	if err := t.claimOrganizationName(o); err != nil {
		return err
	}
	if err := t.put(organizationKey(o.ID), organizationOf(o)); err != nil {
		return err
	}
	group := gabion.Group{
		ID: uuid.NewString(), Organization: o.ID, Name: gabion.DefaultGroupName,
		Description: "Default Security Group", Created: o.Created,
	}
	if err := t.createGroup(group); err != nil {
		return err
	}
	return t.put(primaryKey(o.ID), holder{ID: group.ID})
}

func (t *txn) claimOrganizationName(o gabion.Organization) error {
	return t.claim(organizationNameKey(o.Name), holder{ID: o.ID}, func(other holder) error {
		return gabion.Conflict("there is an organization %q already: its id is %s; choose another name", o.Name, other.ID)
	})
}

// UpdateOrganization changes what change changes: name, quotas and hosts. It may
// call change more than once. What the organization has stays, also where the new
// quotas and hosts would not let it come into being.
func (s *Store) UpdateOrganization(ctx context.Context, id string, change func(*gabion.Organization) error) (gabion.Operation, error) {
	if !isID(id) {
		return gabion.Operation{}, gabion.NotFound(organizationKind, id)
	}
	c := installation("update-organization", organizationKind, id, organizationKey(id))
	return s.change(ctx, c, func(t *txn) error {
		old, err := t.organization(id)
		if err != nil {
			return err
		}
		o := old
		o.Hosts = slices.Clone(old.Hosts)
		if err := change(&o); err != nil {
			return err
		}
		o.ID, o.Created = old.ID, old.Created
		return t.replaceOrganization(old, o)
	})
}

func (t *txn) replaceOrganization(old, o gabion.Organization) error {
	if err := o.Validate(); err != nil {
		return err
	}
	if o.Name != old.Name {
		t.delete(organizationNameKey(old.Name))
		if err := t.claimOrganizationName(o); err != nil {
			return err
		}
	}
	t.before, t.after = organizationSaid(old), organizationSaid(o)
	return t.put(organizationKey(o.ID), organizationOf(o))
}
