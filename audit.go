package gabion

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"
)

// Actor is who asks for a change, from where, with which request. The store writes
// it into the record of the change.
type Actor struct {
	Key, KeyName string     // empty for the server itself
	Organization string     // whose the key is; empty for the server itself
	Remote       netip.Addr // not valid for the server itself
	Request      string     // id of the request
	// Signature and its end let the store recognize a change that is sent again,
	// also to another server. Zero where there is none.
	Signature        [32]byte
	SignatureExpires time.Time
}

type actorKey struct{}

// WithActor makes everything that is done with the context the actor's.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorOf is the context's actor, zero for what the server does by itself.
func ActorOf(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey{}).(Actor)
	return a
}

// AuditRecord is one thing that somebody did, or was not let do.
type AuditRecord struct {
	AuditEntry
	Content        string // the entry as it was hashed, JSON
	Previous, Hash string // SHA-256 in hexadecimal; see AuditHash
	Revision       int64  // of the store, at which it was made; not part of the content
}

// AuditEntry is what a record says.
type AuditEntry struct {
	Sequence  int64           `json:"sequence"` // from 1 on without a gap, in one log
	Time      time.Time       `json:"time"`
	Log       string          `json:"log"` // id of the organization, or InstallationLog
	Request   string          `json:"request,omitempty"`
	Key       string          `json:"key,omitempty"`
	KeyName   string          `json:"key-name,omitempty"`
	Remote    string          `json:"remote,omitempty"`
	Action    string          `json:"action"`
	Subject   string          `json:"subject,omitempty"`
	Operation string          `json:"operation,omitempty"`
	Denied    bool            `json:"denied,omitempty"`
	Message   string          `json:"message,omitempty"` // why it was denied
	Count     int             `json:"count,omitempty"`   // how many denials the record stands for
	Before    json.RawMessage `json:"before,omitempty"`  // the object; never a secret
	After     json.RawMessage `json:"after,omitempty"`
}

// InstallationLog names the audit log of what is above organizations.
const InstallationLog = "installation"

// AuditGenesis is what the first record of a log has for the hash of the one before.
const AuditGenesis = "0000000000000000000000000000000000000000000000000000000000000000"

// AuditHash chains a record to the one before it.
func AuditHash(previous, content string) string {
	sum := sha256.Sum256([]byte(previous + "\n" + content))
	return hex.EncodeToString(sum[:])
}

// VerifyAudit holds that the records, oldest first, are a whole log from its first
// record on: none was changed, taken out, put in or moved. It names the first
// sequence number where that is not so. That the end was cut off nobody can tell by
// the records alone: keep the last hash elsewhere to see it.
func VerifyAudit(records []AuditRecord) error {
	previous := AuditGenesis
	for i, r := range records {
		if err := r.follows(int64(i)+1, previous); err != nil {
			return fmt.Errorf("audit log is broken at sequence %d: %w", i+1, err)
		}
		previous = r.Hash
	}
	return nil
}

// follows tells whether the record is that of the sequence number, chained to previous.
func (r *AuditRecord) follows(sequence int64, previous string) error {
	var said AuditEntry
	switch {
	case r.Sequence != sequence:
		return fmt.Errorf("record %d stands there", r.Sequence)
	case r.Previous != previous:
		return fmt.Errorf("it is not chained to the record before it")
	case r.Hash != AuditHash(r.Previous, r.Content):
		return fmt.Errorf("its content is not what was hashed")
	case json.Unmarshal([]byte(r.Content), &said) != nil || said.Sequence != sequence:
		return fmt.Errorf("its content says another sequence number")
	}
	return nil
}
