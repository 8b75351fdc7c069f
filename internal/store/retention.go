package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gabion/gabion"
)

// Operations are told of in the audit log, in order and with their time. So those
// that are due to go are found from where the last sweep ended, without looking at
// the others. What is above organizations changes rarely: its operations stay.

const (
	// keptOperations and keptFor: those of the newest records of an organization's
	// log stay, and those that are not older than that.
	keptOperations = 10_000
	keptFor        = 90 * 24 * time.Hour

	sweepEvery = time.Hour
	// sweptAtOnce is how many records one transaction of a sweep is about.
	sweptAtOnce = 100
)

// sweptRecord is up to which record of the audit log operations were swept.
type sweptRecord struct {
	Sequence int64 `json:"sequence"`
}

// sweep removes old operations of all organizations now and then, until ctx ends.
func (s *Store) sweep(ctx context.Context) {
	defer close(s.swept)
	turn := time.NewTicker(sweepEvery)
	defer turn.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case at := <-turn.C:
			s.sweepAll(ctx, at.Add(-keptFor))
		}
	}
}

func (s *Store) sweepAll(ctx context.Context, before time.Time) {
	organizations, err := s.Organizations(ctx)
	for i := 0; err == nil && i < len(organizations); i++ {
		err = s.sweepOperations(ctx, organizations[i].ID, keptOperations, before)
	}
	if err != nil && ctx.Err() == nil {
		s.log.Warn("old operations can't be swept now", "error", err)
	}
}

// sweepOperations removes the organization's operations from before that time, but
// for the newest.
func (s *Store) sweepOperations(ctx context.Context, org string, keep int64, before time.Time) error {
	for {
		done, head, err := s.sweptUpTo(ctx, org)
		n := min(sweptAtOnce, head-keep-done)
		if err != nil || n <= 0 {
			return err
		}
		all, err := s.sweepRecords(ctx, org, done+1, n, before)
		if err != nil || !all {
			return err
		}
	}
}

// sweptUpTo is the last record that was swept, and the last that there is.
func (s *Store) sweptUpTo(ctx context.Context, org string) (done, last int64, err error) {
	found, err := s.gets(ctx, auditHeadKey(org), sweptKey(org))
	if err != nil {
		return 0, 0, err
	}
	head, err := decodeHead(found[0])
	if err != nil || found[1] == nil {
		return 0, head.Sequence, err
	}
	var swept sweptRecord
	if err := json.Unmarshal(found[1].Value, &swept); err != nil {
		return 0, 0, fmt.Errorf("decode %s: %w", found[1].Key, err)
	}
	return swept.Sequence, head.Sequence, nil
}

// sweepRecords removes the operations of n records from one on, as far as they are
// from before that time. It tells whether all were.
func (s *Store) sweepRecords(ctx context.Context, org string, from, n int64, before time.Time) (all bool, err error) {
	records, err := s.auditPage(ctx, org, from+n, int(n))
	if err != nil {
		return false, err
	}
	var due []gabion.AuditRecord
	for i := len(records) - 1; i >= 0 && records[i].Time.Before(before); i-- { // oldest first
		due = append(due, records[i])
	}
	if len(due) == 0 {
		return false, nil
	}
	_, err = s.transact(ctx, "sweep operations", func(t *txn) error {
		for _, r := range due {
			if isID(r.Operation) {
				t.delete(operationKey(org, r.Operation))
			}
		}
		return t.put(sweptKey(org), sweptRecord{Sequence: due[len(due)-1].Sequence})
	})
	return len(due) == len(records), err
}
