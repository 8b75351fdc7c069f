// Package api is the HTTP surface: it decodes requests, authenticates them, asks
// the domain whether they make sense, hands them to the store and answers in the
// words of api/openapi.yaml. It must not know of etcd, gRPC or eBPF.
package api

import (
	"context"
	"net/netip"
	"time"

	"github.com/gabion/gabion"
)

// Store is what the API needs of the store. Every call is within one
// organization: an object of another one is not found. Every change is one
// transaction, made at the operation's revision, and is durable when it returns.
// Errors are *gabion.Error where the caller can do something about them.
type Store interface {
	Groups(ctx context.Context, org string) ([]gabion.Group, error) // in order of creation
	Group(ctx context.Context, org, id string) (gabion.Group, error)
	CreateGroup(ctx context.Context, g gabion.Group) (gabion.Operation, error) // conflict: name taken
	UpdateGroup(ctx context.Context, org, id string, change func(*gabion.Group) error) (gabion.Operation, error)
	DeleteGroup(ctx context.Context, org, id string) (gabion.Operation, error) // conflict: in use (says by whom), or default
	AddSource(ctx context.Context, org, group string, source netip.Prefix) (gabion.Operation, error)
	RemoveSource(ctx context.Context, org, group string, source netip.Prefix) (gabion.Operation, error)

	Rules(ctx context.Context, org string) ([]gabion.Rule, error) // of all groups, in order of creation
	GroupRules(ctx context.Context, org, group string) ([]gabion.Rule, error)
	// ReplaceRules makes the group's rules those given: what it has already stays.
	ReplaceRules(ctx context.Context, org, group string, rules []gabion.Rule) (gabion.Operation, error)
	AddRules(ctx context.Context, org, group string, rules []gabion.Rule) (gabion.Operation, error) // all or none; conflict: equal rule (says its id)
	DeleteRule(ctx context.Context, org, group, id string) (gabion.Operation, error)

	Instances(ctx context.Context, org string) ([]gabion.Instance, error) // in order of creation
	Instance(ctx context.Context, org, id string) (gabion.Instance, error)
	CreateInstance(ctx context.Context, i gabion.Instance) (gabion.Operation, error) // conflict: interface, MAC or address taken
	UpdateInstance(ctx context.Context, org, id string, change func(*gabion.Instance) error) (gabion.Operation, error)
	DeleteInstance(ctx context.Context, org, id string) (gabion.Operation, error)
	// AttachGroup and DetachGroup refuse while the instance runs if stoppedOnly.
	AttachGroup(ctx context.Context, org, instance, group string, stoppedOnly bool) (gabion.Operation, error)
	DetachGroup(ctx context.Context, org, instance, group string, stoppedOnly bool) (gabion.Operation, error)
	States(ctx context.Context, org string) (map[string]gabion.InstanceState, error) // by instance id
	StatesOf(ctx context.Context, org string, ids []string) (map[string]gabion.InstanceState, error)
	SetState(ctx context.Context, org, instance string, state gabion.InstanceState) (gabion.Operation, error)

	Operation(ctx context.Context, org, id string) (gabion.Operation, error)
	FinishOperation(ctx context.Context, op gabion.Operation) error

	PrimaryGroup(ctx context.Context, org string) (string, error) // id
	SetPrimaryGroup(ctx context.Context, org, id string) (gabion.Operation, error)

	Hosts(ctx context.Context) ([]gabion.Host, []gabion.HostStatus, error) // statuses of hosts that ever spoke
	CreateJoinToken(ctx context.Context, t gabion.JoinToken) error
	DeleteHost(ctx context.Context, name string) error // conflict: has instances

	Organizations(ctx context.Context) ([]gabion.Organization, error) // in order of creation
	Organization(ctx context.Context, id string) (gabion.Organization, error)
	CreateOrganization(ctx context.Context, o gabion.Organization) (gabion.Operation, error) // conflict: name taken
	UpdateOrganization(ctx context.Context, id string, change func(*gabion.Organization) error) (gabion.Operation, error)
	DeleteOrganization(ctx context.Context, id string) (gabion.Operation, error) // conflict: has instances, or is the first
	Usage(ctx context.Context, org string) (gabion.Usage, error)
	LastChange(ctx context.Context, org string) (revision int64, err error) // 0: there was none

	Key(ctx context.Context, id string) (gabion.Key, error)     // of any organization, with its secret
	Keys(ctx context.Context, org string) ([]gabion.Key, error) // without secrets, in order of creation
	// CreateKey makes id and secret. Sent again with the signature of ctx's actor, it
	// returns the same key.
	CreateKey(ctx context.Context, k gabion.Key) (gabion.Key, error)
	// RotateKey makes a successor with the same rights; the old key ends at the time given.
	RotateKey(ctx context.Context, org, id string, ends time.Time) (gabion.Key, error)
	DeleteKey(ctx context.Context, org, id string) (gabion.Operation, error) // conflict: the last operator's key
	TouchKey(ctx context.Context, id string, used time.Time) error

	CreateSession(ctx context.Context, s gabion.Session) error
	Session(ctx context.Context, hash [32]byte) (gabion.Session, error) // not found also when it has expired
	DeleteSession(ctx context.Context, hash [32]byte) error

	// Audit is a page of a log (an organization's id or gabion.InstallationLog),
	// newest first, of records before the sequence number; 0: the newest.
	Audit(ctx context.Context, log string, before int64, limit int) ([]gabion.AuditRecord, error)
	// Deny adds a denial to a log. Changes write their records themselves.
	Deny(ctx context.Context, e gabion.AuditEntry) error
}

// Enforcement knows how far the hosts are.
type Enforcement interface {
	// Await returns the hosts that have not acknowledged what revision changed for
	// them: none as soon as all have, else those missing when ctx ends.
	Await(ctx context.Context, revision int64) (missing []string)
	// Problem is what the host could not enforce of what it has acknowledged: one
	// bad object is left out and holds the others up no longer. Empty if nothing.
	Problem(host string) string
}
