package gabion

import (
	"strings"
	"time"
)

// Host is a hypervisor that runs one agent.
type Host struct {
	Name    string
	Created time.Time
}

// HostStatus is what a host last said of itself.
type HostStatus struct {
	Host     string
	Revision int64     // the newest policy revision that the host enforces
	LastSeen time.Time // by the server's clock
	Version  string    // of the agent
	Error    string    // why it has not converged; empty if it has
	// Protection says what keeps an instance's new interface closed until it is
	// filtered, for each bridge of instances: "br0=nftables, br1=managed".
	Protection       string
	UnprotectedPorts []string // of bridges of instances: what nothing filters
	Drifts           int64    // how often something else had changed what is enforced, since the agent started

	EnforcedAt    time.Time      // when it said that it enforces the revision, by the server's clock; zero if it never did
	Took          *time.Duration // from commit to acknowledgement of the last change that concerned it; nil if not measured
	PolicyDigest  string         // SHA-256 of the policy that it enforces, hexadecimal
	ProgramDigest string         // tags of the programs that are loaded
}

// JoinToken lets one host join, once. Only its hash is stored.
type JoinToken struct {
	Host    string
	Hash    [32]byte // SHA-256 of the secret
	Expires time.Time
}

// MaxHostName is how long a host's name may be; it becomes the common name of a
// certificate and the name of a directory.
const MaxHostName = 63

// ValidateHostName holds for names of hosts: 1 to 63 letters, digits, dots,
// hyphens and underscores, of which the first and the last are a letter or a digit.
func ValidateHostName(field, name string) error {
	if !isHostName(name) {
		return Invalid(field, "%q is not a host's name; give 1 to %d letters, digits and inner . - _", name, MaxHostName)
	}
	return nil
}

func isHostName(name string) bool {
	if len(name) == 0 || len(name) > MaxHostName {
		return false
	}
	for i := range len(name) {
		inner := i > 0 && i < len(name)-1
		if !isAlphanumeric(name[i]) && (!inner || !strings.ContainsRune(".-_", rune(name[i]))) {
			return false
		}
	}
	return true
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
