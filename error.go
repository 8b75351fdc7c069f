package gabion

import (
	"errors"
	"fmt"
)

// Code classes an error by what its receiver can do about it. The API maps each
// code to one HTTP status in one table.
type Code int

// The codes. Internal is the zero value: an error nobody classed is ours.
const (
	CodeInternal    Code = iota // a defect; details are logged, never shown
	CodeInvalid                 // the request can't mean anything; say it differently
	CodeForbidden               // the caller may not
	CodeNotFound                // no such object for this caller
	CodeConflict                // the state of things refuses it
	CodeLimit                   // a quota or rate is used up
	CodeUnavailable             // try again later; nothing was changed
)

// Error is what a caller is told: what is wrong, with which field, and what to
// write instead.
type Error struct {
	Code    Code
	Field   string // JSON name of the offending field, with its path; empty if none
	Message string // for people; names the field and the remedy
}

func (e *Error) Error() string { return e.Message }

// Invalid reports that field can't be what it is.
func Invalid(field, format string, args ...any) *Error {
	return &Error{Code: CodeInvalid, Field: field, Message: field + ": " + fmt.Sprintf(format, args...)}
}

// Conflict reports that the state of things refuses the change.
func Conflict(format string, args ...any) *Error {
	return &Error{Code: CodeConflict, Message: fmt.Sprintf(format, args...)}
}

// NotFound reports that the caller has no kind (such as "security group") of that id.
func NotFound(kind, id string) *Error {
	return &Error{Code: CodeNotFound, Message: fmt.Sprintf("%s %q not found", kind, id)}
}

// Forbidden reports that the caller may not do that.
func Forbidden(format string, args ...any) *Error {
	return &Error{Code: CodeForbidden, Message: fmt.Sprintf(format, args...)}
}

// Unavailable reports that nothing was changed and a later try may succeed.
func Unavailable(format string, args ...any) *Error {
	return &Error{Code: CodeUnavailable, Message: fmt.Sprintf(format, args...)}
}

// CodeOf is the code of the first Error in err's chain, CodeInternal if there is none.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}
