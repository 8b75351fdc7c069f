package feed

import (
	"errors"
	"log/slog"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gabion/gabion"
)

// codesOf is how the classes of errors travel; the way back is its reverse.
var codesOf = map[gabion.Code]codes.Code{
	gabion.CodeInvalid:     codes.InvalidArgument,
	gabion.CodeForbidden:   codes.PermissionDenied,
	gabion.CodeNotFound:    codes.NotFound,
	gabion.CodeConflict:    codes.FailedPrecondition,
	gabion.CodeLimit:       codes.ResourceExhausted,
	gabion.CodeUnavailable: codes.Unavailable,
}

// toStatus is the error as a host is told it. What is ours alone is logged.
func toStatus(log *slog.Logger, err error) error {
	var e *gabion.Error
	if errors.As(err, &e) {
		if code, ok := codesOf[e.Code]; ok {
			return status.Error(code, e.Message)
		}
	}
	log.Error("call of a host failed", "error", err)
	return status.Error(codes.Internal, "the server failed; its log says why")
}

// fromStatus is the error that a server told.
func fromStatus(err error) error {
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	for class, code := range codesOf {
		if s.Code() == code {
			return &gabion.Error{Code: class, Message: s.Message()}
		}
	}
	return errors.New(s.Message())
}
