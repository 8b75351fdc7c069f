package client

import (
	"context"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/client/rest"
)

// Waits between two looks at an operation: the first, and the longest.
const (
	firstWait   = 100 * time.Millisecond
	longestWait = 2 * time.Second
)

// Operation shows how far a change is.
func (c *Client) Operation(ctx context.Context, id string) (rest.Operation, error) {
	return decode[rest.Operation](c.rest.GetOperation(ctx, id))
}

// Wait looks at an operation until it ended or ctx did. The operation it returns
// is pending in the latter case, and its message names the hosts that are missing:
// the change is made, but not enforced everywhere yet. An operation that failed is
// a *gabion.Error with the server's message.
func (c *Client) Wait(ctx context.Context, operation rest.Operation) (rest.Operation, error) {
	for wait := firstWait; operation.State == rest.OperationStatePending; wait = min(2*wait, longestWait) {
		select {
		case <-ctx.Done():
			return operation, nil
		case <-time.After(wait):
		}
		latest, err := c.Operation(ctx, operation.ID)
		switch {
		case ctx.Err() != nil:
			return operation, nil
		case err != nil:
			return operation, err
		}
		operation = latest
	}
	if operation.State != rest.OperationStateSuccess {
		return operation, failure(operation)
	}
	return operation, nil
}

// failure is what an operation that ended without success tells.
func failure(operation rest.Operation) error {
	var code gabion.Code
	switch operation.Reason {
	case rest.OperationReasonIncorrect, rest.OperationReasonUnsupported:
		code = gabion.CodeInvalid
	case rest.OperationReasonForbidden:
		code = gabion.CodeForbidden
	case rest.OperationReasonNotFound:
		code = gabion.CodeNotFound
	case rest.OperationReasonConflict:
		code = gabion.CodeConflict
	case rest.OperationReasonBusy, rest.OperationReasonUnavailable:
		code = gabion.CodeUnavailable
	default:
		code = gabion.CodeInternal
	}
	message := operation.Message
	if message == "" {
		message = "operation " + operation.ID + " ended as " + string(operation.State)
	}
	return &gabion.Error{Code: code, Message: message}
}
