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
	groupKind    = "security-group"
	instanceKind = "instance"
)

// change makes a transaction with the record of its operation in it.
func (s *Store) change(ctx context.Context, org, command, kind, subject string, build func(*txn) error) (gabion.Operation, error) {
	op := gabion.Operation{
		ID: uuid.NewString(), Organization: org, State: gabion.OperationPending,
		Command: command, Kind: kind, Subject: subject, Created: now(),
	}
	key := operationKey(org, op.ID)
	revision, err := s.insist(ctx, func(t *txn) error {
		if err := build(t); err != nil {
			return err
		}
		return t.put(key, operationOf(op))
	})
	if errors.Is(err, errUnanswered) {
		revision, err = s.wasMade(ctx, key, err)
	}
	if err != nil {
		return gabion.Operation{}, classed(err, command)
	}
	op.Revision = revision
	return op, nil
}

// wasMade asks what became of a change that got no answer: if the record of its
// operation is there, it was made at the revision that is returned.
func (s *Store) wasMade(ctx context.Context, key string, unanswered error) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience/8)
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
