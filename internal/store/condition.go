package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Condition is how full the store is, by the member that is fullest.
type Condition struct {
	Bytes, Quota int64 // of the database
	Full         bool  // nothing can be changed
}

// statusPatience is how long one member may take to tell.
const statusPatience = 2 * time.Second

// Condition asks all members. Those that do not answer are left out, unless none does.
func (s *Store) Condition(ctx context.Context) (Condition, error) {
	var worst Condition
	var failed []error
	endpoints := s.client.Endpoints()
	for _, endpoint := range endpoints {
		c, err := s.conditionOf(ctx, endpoint)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		full := worst.Full || c.Full
		if worst.Quota == 0 || float64(c.Bytes)/float64(c.Quota) > float64(worst.Bytes)/float64(worst.Quota) {
			worst = c
		}
		worst.Full = full
	}
	if len(failed) == len(endpoints) {
		return worst, errors.Join(failed...)
	}
	return worst, nil
}

func (s *Store) conditionOf(ctx context.Context, endpoint string) (Condition, error) {
	ctx, cancel := context.WithTimeout(ctx, statusPatience)
	defer cancel()
	status, err := s.client.Status(ctx, endpoint)
	if err != nil {
		return Condition{}, fmt.Errorf("ask etcd at %s how full it is: %w", endpoint, err)
	}
	// Members of etcd 3.5 do not tell their quota: then it is the usual one.
	if status.DbSizeQuota == 0 {
		status.DbSizeQuota = usualQuota
	}
	return Condition{Bytes: status.DbSize, Quota: status.DbSizeQuota, Full: alarmed(status)}, nil
}

// usualQuota is etcd's if it is told nothing else.
const usualQuota = 2 << 30
