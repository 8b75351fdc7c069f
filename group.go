package gabion

import (
	"net/netip"
	"time"
	"unicode"
	"unicode/utf8"
)

// DefaultGroupName is the group every organization is born with. It can't be deleted.
const DefaultGroupName = "default"

// Limits of names and texts, in characters.
const (
	MaxNameLength        = 255
	MaxDescriptionLength = 255
)

// Group is a security group: a named set of rules that is attached to instances.
type Group struct {
	ID           string
	Organization string
	Name         string
	Description  string
	// Sources are external sources: prefixes that count as members wherever the
	// group is a peer. Canonical and distinct, in the order they were added.
	Sources []netip.Prefix
	Created time.Time
}

// Validate reports the first thing that keeps the group from being stored.
func (g *Group) Validate() error {
	if err := ValidateName("name", g.Name); err != nil {
		return err
	}
	return ValidateDescription("description", g.Description)
}

// ValidateName holds for names of groups, instances and the like: 1 to 255
// printable characters.
func ValidateName(field, name string) error {
	switch n := utf8.RuneCountInString(name); {
	case n == 0:
		return Invalid(field, "is empty; give 1 to %d characters", MaxNameLength)
	case n > MaxNameLength:
		return Invalid(field, "has %d characters; give 1 to %d", n, MaxNameLength)
	}
	return validateText(field, name)
}

// ValidateDescription holds for free texts of at most 255 printable characters.
func ValidateDescription(field, text string) error {
	if n := utf8.RuneCountInString(text); n > MaxDescriptionLength {
		return Invalid(field, "has %d characters; give at most %d", n, MaxDescriptionLength)
	}
	return validateText(field, text)
}

func validateText(field, text string) error {
	if !utf8.ValidString(text) {
		return Invalid(field, "is not valid UTF-8; encode it as UTF-8")
	}
	for _, r := range text {
		if unicode.IsControl(r) {
			return Invalid(field, "has the control character %U; remove it", r)
		}
	}
	return nil
}
