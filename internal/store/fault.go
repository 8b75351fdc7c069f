package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gabion/gabion"
)

// classed says what an error of etcd means for the caller: later, smaller, or a
// defect. what is the verb phrase of the call that failed.
func classed(err error, what string) error {
	var told *gabion.Error
	switch {
	case err == nil, errors.As(err, &told):
		return err
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", what, err)
	case errors.Is(err, rpctypes.ErrNoSpace):
		return gabion.Unavailable("the store is full, nothing can be changed: an embedded store makes room by itself as soon as the disk of its data directory has some; an etcd cluster of yours has to be compacted and defragmented, or given a larger quota, and its alarm cleared")
	case errors.Is(err, rpctypes.ErrTooManyRequests):
		return gabion.Unavailable("the store has too much to do: try again")
	case errors.Is(err, rpctypes.ErrTooManyOps), errors.Is(err, rpctypes.ErrRequestTooLarge), isOversized(err):
		return &gabion.Error{Code: gabion.CodeLimit, Message: "the change is too large for one transaction: make it in smaller parts"}
	case errors.Is(err, errUnanswered):
		return gabion.Unavailable("the store does not answer (%v), and whether the change was made is not known: look before you try again", err)
	case isOutage(err):
		return gabion.Unavailable("the store does not answer (%v): try again", err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// isOversized tells whether gRPC refused a message for its size, before etcd saw it.
func isOversized(err error) bool {
	return status.Code(err) == codes.ResourceExhausted
}

// isOutage tells whether etcd, or the way to it, failed rather than refused.
func isOutage(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var refusal rpctypes.EtcdError
	code := status.Code(err)
	if errors.As(err, &refusal) {
		code = refusal.Code()
	}
	return slices.Contains([]codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Aborted}, code)
}
