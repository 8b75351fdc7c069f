package gabion

import "time"

// Key is an API key: who calls, and for which organization.
type Key struct {
	ID           string // "EXO" and 24 hexadecimal digits
	Secret       string
	Name         string
	Organization string
	Operator     bool // may also do what is above organizations: hosts and tokens
	Created      time.Time
}
