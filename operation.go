package gabion

import "time"

// OperationState is how far a change is, in the public API's words.
type OperationState string

// The states. Success means enforced: every affected host has acknowledged the
// operation's revision.
const (
	OperationPending OperationState = "pending"
	OperationSuccess OperationState = "success"
	OperationFailure OperationState = "failure"
	OperationTimeout OperationState = "timeout"
)

// Operation is the record of one change. It is stored in the transaction of the
// change itself, and stays for 90 days at least.
type Operation struct {
	ID           string
	Organization string
	State        OperationState
	Message      string
	Command      string // what was asked for, such as "create-security-group"
	Subject      string // id of the object that was changed; for rules, of their group
	Kind         string // of the subject: "security-group" or "instance"
	Revision     int64  // of the store, at which the change was made
	Created      time.Time
}
