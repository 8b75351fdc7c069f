package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/gabion/gabion"
)

// operationRecord lacks the operation's revision: that is the one which created
// the record, as etcd tells.
type operationRecord struct {
	State   gabion.OperationState `json:"state"`
	Message string                `json:"message,omitempty"`
	Command string                `json:"command"`
	Subject string                `json:"subject"`
	Kind    string                `json:"kind"`
	Created time.Time             `json:"created"`
}

func operationOf(op gabion.Operation) operationRecord {
	return operationRecord{
		State: op.State, Message: op.Message, Command: op.Command,
		Subject: op.Subject, Kind: op.Kind, Created: op.Created,
	}
}

func decodeOperation(kv *mvccpb.KeyValue) (gabion.Operation, error) {
	var r operationRecord
	if err := json.Unmarshal(kv.Value, &r); err != nil {
		return gabion.Operation{}, fmt.Errorf("decode %s: %w", kv.Key, err)
	}
	at := placeOf(kv.Key)
	return gabion.Operation{
		ID: at.rest, Organization: at.org, State: r.State, Message: r.Message, Command: r.Command,
		Subject: r.Subject, Kind: r.Kind, Revision: kv.CreateRevision, Created: r.Created,
	}, nil
}

// Kinds of subjects of operations.
const (
	groupKind        = "security-group"
	instanceKind     = "instance"
	organizationKind = "organization"
	keyKind          = "api-key"
	hostKind         = "host"
)

// command is one change: what is asked for, and of what.
type command struct {
	org     string // whose objects it changes and whose log tells of it; InstallationLog above organizations
	name    string // as the contract calls it
	kind    string // of the subject
	subject string
	// What the change will ask for, as far as that is known before: then it is all
	// read in one go.
	reads  []string
	counts []string // prefixes whose keys it counts
}

// state is the one that an operation begins with: what concerns no host has been
// done when it is stored.
func (c command) state() gabion.OperationState {
	if c.kind == groupKind || c.kind == instanceKind {
		return gabion.OperationPending
	}
	return gabion.OperationSuccess
}

// change makes a transaction with the record of its operation and that of the
// audit log in it. One that was made before, by the signature of its request, is
// not made again: its operation is returned.
func (s *Store) change(ctx context.Context, c command, build func(*txn) error) (gabion.Operation, error) {
	made, err := s.make(ctx, c, build)
	if err != nil {
		return gabion.Operation{}, classed(err, c.name)
	}
	if made.earlier != nil {
		return s.Operation(ctx, made.earlier.Organization, made.earlier.ID)
	}
	return made.op, nil
}

// made is what became of a command.
type made struct {
	op      gabion.Operation
	earlier *holder // the operation of the same request, if that was made before
}

func (s *Store) make(ctx context.Context, c command, build func(*txn) error) (made, error) {
	home, err := s.home(ctx, c)
	if err != nil {
		return made{}, err
	}
	begin := time.Now()
	leave, err := s.lanes.enter(ctx, c.org)
	if err != nil {
		return made{}, err
	}
	defer leave()
	left, cancel := context.WithTimeout(ctx, max(patience-time.Since(begin), leastPatience))
	defer cancel()
	m := made{op: gabion.Operation{
		ID: uuid.NewString(), Organization: home, State: c.state(),
		Command: c.name, Kind: c.kind, Subject: c.subject, Created: now(),
	}}
	m.op.Revision, err = s.insist(left, func(t *txn) (err error) {
		if m.earlier, err = t.begin(c); err != nil || m.earlier != nil {
			return err
		}
		if err := build(t); err != nil {
			return err
		}
		return t.finish(c, m.op)
	})
	if errors.Is(err, errUnanswered) {
		m.op.Revision, err = s.wasMade(ctx, operationKey(home, m.op.ID), err)
	}
	return m, err
}

// home is the organization that has the operation of the command: its own, or for
// what is above organizations the one of whoever asks.
func (s *Store) home(ctx context.Context, c command) (string, error) {
	if c.org != gabion.InstallationLog {
		return c.org, nil
	}
	if org := gabion.ActorOf(ctx).Organization; org != "" {
		return org, nil
	}
	born, err := s.born(ctx)
	return born.Organization, err
}

// begin reads what the command needs, refuses it if its organization is gone, and
// returns the operation of the same request if that was made before.
func (t *txn) begin(c command) (earlier *holder, err error) {
	asks := t.reading(append(c.reads, auditHeadKey(c.org)))
	if c.org != gabion.InstallationLog {
		asks = append(asks, t.reading([]string{organizationKey(c.org)})...)
	}
	asks = append(asks, t.counting(c.counts)...)
	actor := gabion.ActorOf(t.ctx)
	asks = append(asks, t.askingReplay(c, actor)...)
	if err := t.ask(asks); err != nil {
		return nil, err
	}
	if earlier, err := t.replayed(c, actor); err != nil || earlier != nil {
		return earlier, err
	}
	if c.org != gabion.InstallationLog {
		_, err = t.organization(c.org)
	}
	return nil, err
}

// finish adds what every command leaves behind: its operation, its record in the
// audit log, and the claim of its request.
func (t *txn) finish(c command, op gabion.Operation) error {
	actor := gabion.ActorOf(t.ctx)
	if err := t.claimReplay(c, actor, op); err != nil {
		return err
	}
	if err := t.recordChange(c, op, actor); err != nil {
		return err
	}
	return t.put(operationKey(op.Organization, op.ID), operationOf(op))
}

// wasMade asks what became of a change that got no answer: if the record of its
// operation is there, it was made at the revision that is returned.
func (s *Store) wasMade(ctx context.Context, key string, unanswered error) (int64, error) {
	ctx, cancel := context.WithTimeout(exact(ctx), patience/8)
	defer cancel()
	kv, err := s.get(ctx, key)
	switch {
	case err != nil:
		return 0, unanswered
	case kv == nil:
		return 0, gabion.Unavailable("the store did not take the change: try again")
	}
	return kv.CreateRevision, nil
}

// Operation is the record of one change.
func (s *Store) Operation(ctx context.Context, org, id string) (gabion.Operation, error) {
	if !isID(id) {
		return gabion.Operation{}, gabion.NotFound("operation", id)
	}
	kv, err := s.get(ctx, operationKey(org, id))
	if err != nil {
		return gabion.Operation{}, err
	}
	if kv == nil {
		return gabion.Operation{}, gabion.NotFound("operation", id)
	}
	return decodeOperation(kv)
}

// FinishOperation stores the operation's state and message. One that has ended stays as it ended.
func (s *Store) FinishOperation(ctx context.Context, op gabion.Operation) error {
	key := operationKey(op.Organization, op.ID)
	_, err := s.transact(ctx, "finish operation", func(t *txn) error {
		kv, err := t.get(key)
		if err != nil {
			return err
		}
		if kv == nil {
			return gabion.NotFound("operation", op.ID)
		}
		stored, err := decodeOperation(kv)
		if err != nil || stored.State != gabion.OperationPending {
			return err
		}
		stored.State, stored.Message = op.State, op.Message
		return t.put(key, operationOf(stored))
	})
	return err
}

// now is the time that records carry, without what JSON would drop.
func now() time.Time { return time.Now().UTC().Round(time.Microsecond) }
