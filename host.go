package gabion

import "time"

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
}

// JoinToken lets one host join, once. Only its hash is stored.
type JoinToken struct {
	Host    string
	Hash    [32]byte // SHA-256 of the secret
	Expires time.Time
}
