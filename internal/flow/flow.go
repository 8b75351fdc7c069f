// Package flow is what hosts tell of packets, as the server keeps it: totals that
// survive restarts of agents, and events on their way to who watches.
//
// All of it is in memory and nothing waits for anybody: a slow watcher loses
// events and is told how many. The package must not know of the stream, HTTP,
// the store or the kernel.
package flow

import (
	"net/netip"
	"time"

	"github.com/gabion/gabion"
)

// Demand is which events somebody looks at.
type Demand uint8

// The demands; each includes those before it.
const (
	None   Demand = iota
	Denied        // first packets that were dropped
	All           // first packets that passed, too
)

func (d Demand) String() string {
	switch d {
	case Denied:
		return "denied"
	case All:
		return "all"
	default:
		return "none"
	}
}

// Event is the first packet of a conversation, as an instance's interface saw it.
// A host tells ids; names are for who watches.
type Event struct {
	Time         time.Time
	Host         string
	Organization string
	Instance     Named
	Interface    string
	Direction    gabion.Direction
	Reason       gabion.Reason
	Protocol     gabion.Protocol
	Local        netip.AddrPort // not valid for frames that are not IP; port 0 for protocols without
	Remote       netip.AddrPort
	ICMP         gabion.ICMPMatch // of ICMP and ICMPv6; zero otherwise
	Rule         string           // id of the rule that admitted it; empty if none did
	Group        Named            // that holds the rule
	RemoteOwner  Named            // who has the remote address, if an instance of the same organization has
}

// Named is an object's id and name; both are empty if there is no object.
type Named struct{ ID, Name string }

// Question asks whether the first packet of a connection would pass at an
// instance's interface.
type Question struct {
	Instance  string
	Direction gabion.Direction
	Local     netip.Addr // the instance's
	Remote    netip.Addr
	Protocol  gabion.Protocol
	Port      uint16 // TCP and UDP: of the receiver
	Type      uint8  // ICMP and ICMPv6
	Code      uint8
}

// Answer is what the programs that are loaded on a host say to a question.
type Answer struct {
	Reason gabion.Reason
	Rule   string // id of the rule that admits; empty if none does
}

// Loaded is what the programs that are loaded on a host say to a question that the
// policy answers, too.
type Loaded struct {
	Answer
	Agrees      bool
	Unavailable string // why there is no answer; empty if there is one
}

// Open is a flow that an instance has open.
type Open struct {
	Interface string
	Direction gabion.Direction // of who opened it
	Protocol  gabion.Protocol
	Local     netip.AddrPort // port 0 for protocols without
	Remote    netip.AddrPort
	State     string
	Idle      time.Duration
	Rule      string // id of the rule that admitted it; empty if none was needed, or it is gone
}
