package gabion

import (
	"slices"
	"time"
)

// Key is an API key: who calls, for which organization, and what they may do.
type Key struct {
	ID           string // "EXO" and 24 hexadecimal digits
	Secret       string
	Name         string
	Organization string
	Scopes       []Scope
	Operator     bool // may also do what is above organizations: hosts, tokens, organizations
	Created      time.Time
	Expires      time.Time // zero: never
	LastUsed     time.Time // to the minute; zero: never
}

// Allows tells whether the key may do what needs the scope. Every scope includes
// reading, admin includes all.
func (k Key) Allows(s Scope) bool {
	return s == ScopeRead && len(k.Scopes) > 0 || slices.Contains(k.Scopes, s) || slices.Contains(k.Scopes, ScopeAdmin)
}

// Expired tells whether the key is good for nothing any more.
func (k Key) Expired(at time.Time) bool { return !k.Expires.IsZero() && !at.Before(k.Expires) }

// Validate reports the first thing that keeps the key from being stored.
func (k Key) Validate() error {
	if err := ValidateName("name", k.Name); err != nil {
		return err
	}
	if len(k.Scopes) == 0 {
		return Invalid("scopes", "is empty; give at least one of read, rules, instances, admin")
	}
	for i, scope := range k.Scopes {
		if _, err := ParseScope("scopes", string(scope)); err != nil {
			return err
		}
		if slices.Contains(k.Scopes[:i], scope) {
			return Invalid("scopes", "%q is there twice; name it once", scope)
		}
	}
	return nil
}

// Scope is one kind of thing that a key may do in its organization.
type Scope string

// The scopes.
const (
	ScopeRead      Scope = "read"      // look at everything but keys and audit
	ScopeRules     Scope = "rules"     // change groups and rules
	ScopeInstances Scope = "instances" // change instances and their groups
	ScopeAdmin     Scope = "admin"     // all of that, and keys and audit
)

// ParseScope reads a scope.
func ParseScope(field, s string) (Scope, error) {
	scopes := []Scope{ScopeRead, ScopeRules, ScopeInstances, ScopeAdmin}
	if i := slices.Index(scopes, Scope(s)); i >= 0 {
		return scopes[i], nil
	}
	return "", Invalid(field, "%q is not a scope; give read, rules, instances or admin", s)
}

// Session is a browser that signed in by a key. It ends with its key.
type Session struct {
	Hash    [32]byte // SHA-256 of the cookie
	Key     string   // id
	Created time.Time
	Expires time.Time
}
