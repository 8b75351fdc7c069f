package main

import (
	"fmt"
	"net/netip"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/lab"
)

// A scene is two guests on one host: what the sender sends to the receiver's
// port goes through the filter of both.
type scene struct {
	host             *lab.Host
	sender, receiver *lab.Guest
	protocol         gabion.Protocol // of the rules
	sending          netip.Addr      // owned by the sender
	receiving        netip.Addr      // owned by the receiver
	taps             []*lab.Tap      // that fill the host
}

// Ports of the receiver. The last of the rules admits the sender to all from firstPort on.
const (
	firstPort   = 1024
	port        = 2000
	refusedPort = 1000
)

// A contender is a way to enforce: the sender's addresses are checked, ingress of
// the receiver is denied but for a number of rules.
type contender struct {
	name    string
	filters bool
	setUp   func(s *scene, rules int) (tearDown func() error, err error)
}

const unfilteredName = "unfiltered"

var contenders = []contender{
	{unfilteredName, false, func(*scene, int) (func() error, error) { return func() error { return nil }, nil }},
	{"empty-tcx", false, emptyPrograms},
	{"gabion", true, gabionPolicy},
	{"uncounted", true, uncounted},
	{"iptables", true, netfilter(plainChain)},
	{"ipset", true, netfilter(ipset)},
	{"nftables", true, netfilter(nftables)},
}

// unmatched is the peer of the rule number i that admits none of our frames.
func unmatched(i int) string { return fmt.Sprintf("10.%d.%d.%d", 100+i>>16, i>>8&0xff, i&0xff) }
