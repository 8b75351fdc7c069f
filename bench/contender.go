package main

import (
	"fmt"
	"net/netip"

	"github.com/gabion/gabion/internal/lab"
)

// A scene is two guests on one host: what the sender sends to the receiver's
// port goes through the filter of both.
type scene struct {
	host             *lab.Host
	sender, receiver *lab.Guest
	sending          netip.Addr // owned by the sender
	receiving        netip.Addr // owned by the receiver
	port             uint16     // admitted by the last of the rules only
}

// A contender is a way to enforce: the sender's addresses are checked, ingress of
// the receiver is denied but for a number of rules.
type contender struct {
	name  string
	setUp func(s *scene, rules int) (tearDown func() error, err error)
}

func contenders() []contender {
	return []contender{
		{"unfiltered", func(*scene, int) (func() error, error) { return func() error { return nil }, nil }},
		{"empty-tcx", emptyPrograms},
		{"gabion", gabionPolicy},
		{"iptables", netfilter(plainChain)},
		{"ipset", netfilter(ipset)},
		{"nftables", netfilter(nftables)},
	}
}

// unmatched is the peer of the rule number i that admits none of our frames.
func unmatched(i int) string { return fmt.Sprintf("10.%d.%d.%d", 100+i>>16, i>>8&0xff, i&0xff) }
