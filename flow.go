package gabion

import "slices"

// Verdict is what becomes of a frame.
type Verdict uint8

// The verdicts. Drop is the zero value: what nobody decided is not delivered.
const (
	Drop Verdict = iota
	Pass
)

func (v Verdict) String() string {
	if v == Pass {
		return "pass"
	}
	return "drop"
}

// Reason is why a frame passed or was dropped. The values are shared with the
// eBPF programs and with stored events: append, never renumber.
type Reason uint8

// The reasons, in docs/verdicts.md's words.
const (
	ReasonNone Reason = iota

	PassFlow       // belongs to a live flow
	PassRule       // a rule admits it
	PassEgressOpen // no group of the NIC has an egress rule
	PassARP
	PassND
	PassDHCP
	PassICMPError // quotes a packet of a live flow

	DropNoPolicy
	DropVLAN
	DropEtherType
	DropMalformed
	DropMACSpoof
	DropARPInvalid
	DropARPSpoof
	DropRARPRate
	DropIPSpoof
	DropSourceRoute
	DropMapped
	DropExtHeaders
	DropDHCPServer
	DropDHCPSpoof
	DropNDInvalid
	DropNDSpoof
	DropRouter
	DropMulticast
	DropNotForNIC
	DropNotOwned
	DropFragmentInvalid
	DropFragmentOrphan
	DropNoFlow
	DropDeniedIngress
	DropDeniedEgress
	DropRevoked
	DropTableFull

	reasonCount
)

var reasonNames = [reasonCount]string{
	"none",
	"flow", "rule", "egress-open", "arp", "nd", "dhcp", "icmp-error",
	"no-policy", "vlan", "ethertype", "malformed", "mac-spoof", "arp-invalid", "arp-spoof", "rarp-rate",
	"ip-spoof", "source-route", "mapped", "ext-headers", "dhcp-server", "dhcp-spoof", "nd-invalid", "nd-spoof",
	"router", "multicast", "not-for-nic", "not-owned", "fragment-invalid", "fragment-orphan", "no-flow",
	"denied-ingress", "denied-egress", "revoked", "table-full",
}

func (r Reason) String() string {
	if r >= reasonCount {
		return "unknown"
	}
	return reasonNames[r]
}

// Verdict is what a frame with that reason gets.
func (r Reason) Verdict() Verdict {
	if r >= PassFlow && r <= PassICMPError {
		return Pass
	}
	return Drop
}

// Reasons are all reasons but ReasonNone, in order.
func Reasons() []Reason {
	all := make([]Reason, 0, reasonCount-1)
	for r := ReasonNone + 1; r < reasonCount; r++ {
		all = append(all, r)
	}
	return all
}

// ParseReason reads a reason by name.
func ParseReason(s string) (Reason, error) {
	if i := slices.Index(reasonNames[:], s); i > 0 {
		return Reason(i), nil
	}
	return ReasonNone, Invalid("reason", "%q is not a reason", s)
}
