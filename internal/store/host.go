package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gabion/gabion"
)

type hostRecord struct {
	Created      time.Time `json:"created"`
	Certificates []string  `json:"certificates"` // SHA-256, hexadecimal
}

type statusRecord struct {
	Revision int64     `json:"revision"`
	LastSeen time.Time `json:"last-seen"`
	Version  string    `json:"version,omitempty"`
	Error    string    `json:"error,omitempty"`

	Protection       string   `json:"protection,omitempty"`
	UnprotectedPorts []string `json:"unprotected-ports,omitempty"`
	Drifts           int64    `json:"drifts,omitempty"`

	EnforcedAt    time.Time      `json:"enforced-at,omitzero"`
	Took          *time.Duration `json:"took,omitempty"` // ns
	PolicyDigest  string         `json:"policy-digest,omitempty"`
	ProgramDigest string         `json:"program-digest,omitempty"`
}

func decodeHost(kv *mvccpb.KeyValue) (gabion.Host, error) {
	r, err := valueOf[hostRecord](kv)
	return gabion.Host{Name: placeOf(kv.Key).rest, Created: r.Created}, err
}

func decodeStatus(kv *mvccpb.KeyValue) (gabion.HostStatus, error) {
	var r statusRecord
	if err := json.Unmarshal(kv.Value, &r); err != nil {
		return gabion.HostStatus{}, fmt.Errorf("decode %s: %w", kv.Key, err)
	}
	return gabion.HostStatus{
		Host: placeOf(kv.Key).rest, Revision: r.Revision, LastSeen: r.LastSeen, Version: r.Version, Error: r.Error,
		Protection: r.Protection, UnprotectedPorts: r.UnprotectedPorts, Drifts: r.Drifts,
		EnforcedAt: r.EnforcedAt, Took: r.Took, PolicyDigest: r.PolicyDigest, ProgramDigest: r.ProgramDigest,
	}, nil
}

// Hosts are all hosts, in the order in which they joined, and the statuses of
// those that ever spoke.
func (s *Store) Hosts(ctx context.Context) ([]gabion.Host, []gabion.HostStatus, error) {
	hosts, err := all(ctx, s, hostPrefix, decodeHost)
	if err != nil {
		return nil, nil, err
	}
	statuses, err := all(ctx, s, statusPrefix, decodeStatus)
	return hosts, statuses, err
}

// requireHost refuses a host that has not joined, and guards that it stays.
func (t *txn) requireHost(name string) error {
	kv, err := t.get(hostKey(name))
	if err != nil {
		return err
	}
	if kv == nil {
		return gabion.Invalid("host", "no host %q has joined; let it join with what `gabion host token %s` prints, or name one that has", name, name)
	}
	return nil
}

// SaveStatus stores what a host said of itself. It is not found if it was deleted.
func (s *Store) SaveStatus(ctx context.Context, status gabion.HostStatus) error {
	return s.putOfHost(ctx, "save host status", status.Host, statusKey(status.Host), statusRecord{
		Revision: status.Revision, LastSeen: status.LastSeen, Version: status.Version, Error: status.Error,
		Protection: status.Protection, UnprotectedPorts: status.UnprotectedPorts, Drifts: status.Drifts,
		EnforcedAt: status.EnforcedAt, Took: status.Took, PolicyDigest: status.PolicyDigest, ProgramDigest: status.ProgramDigest,
	})
}

// putOfHost writes a key of a host if there is the host, which is all that it stands
// on: so it takes one call, and a thousand hosts say something all the time.
func (s *Store) putOfHost(ctx context.Context, what, host, key string, record any) error {
	value, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	reply, err := s.client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(hostKey(host)), ">", 0)).
		Then(clientv3.OpPut(key, string(value))).Commit()
	switch {
	case err != nil:
		return classed(err, what)
	case !reply.Succeeded:
		return gabion.NotFound("host", host)
	}
	return nil
}

// DeleteHost deletes a host that has no instances.
func (s *Store) DeleteHost(ctx context.Context, name string) error {
	if gabion.ValidateHostName("host", name) != nil {
		return gabion.NotFound("host", name)
	}
	_, err := s.change(ctx, installation("delete-host", hostKind, name, hostKey(name)), func(t *txn) error {
		kv, err := t.get(hostKey(name))
		if err != nil {
			return err
		}
		if kv == nil {
			return gabion.NotFound("host", name)
		}
		if err := t.refuseInhabited(name); err != nil {
			return err
		}
		t.before = hostWords{Name: name}
		t.delete(hostKey(name))
		t.delete(statusKey(name))
		t.delete(countersKey(name))
		return nil
	})
	return err
}

// refuseInhabited reports the instances of the host, and guards that there are none.
func (t *txn) refuseInhabited(name string) error {
	prefix := hostInstancePrefix(name)
	found, err := t.list(prefix)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return nil
	}
	keys := make([]string, len(found))
	for i, kv := range found {
		h, err := valueOf[holder](kv)
		if err != nil {
			return err
		}
		keys[i] = instanceKey(h.Organization, strings.TrimPrefix(string(kv.Key), prefix))
	}
	return gabion.Conflict("host %q has instances %s: delete or move them first", name, t.enumerate(keys))
}
