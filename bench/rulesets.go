package main

import (
	"fmt"
	"strings"
)

// The rulesets for iptables have the shape that cloud platforms give them: a zone
// of connections for each interface, one chain that interfaces are found in, two
// chains for each of them, one for what it owns.

var plainChain = ruleset{
	load: func(s *scene, rules int) []command {
		var admit strings.Builder
		for i := range rules - 1 {
			fmt.Fprintf(&admit, "-A to-receiver -s %[1]s/32 -p %[2]s -m %[2]s --dport %[3]d -j RETURN\n", unmatched(i), s.protocol, port)
		}
		fmt.Fprintf(&admit, "-A to-receiver -s %[1]s/32 -p %[2]s -m %[2]s --dport %[3]d:65535 -j RETURN\n", s.sending, s.protocol, firstPort)
		return []command{restoreTables(s, admit.String())}
	},
	unload: []command{emptyTables},
}

var ipset = ruleset{
	load: func(s *scene, rules int) []command {
		var peers strings.Builder
		fmt.Fprintf(&peers, "create peers hash:ip maxelem %d\n", rules)
		for i := range rules - 1 {
			fmt.Fprintf(&peers, "add peers %s\n", unmatched(i))
		}
		fmt.Fprintf(&peers, "add peers %s\n", s.sending)
		admit := fmt.Sprintf("-A to-receiver -m set --match-set peers src -p %[1]s -m %[1]s --dport %[2]d:65535 -j RETURN\n", s.protocol, firstPort)
		return []command{{[]string{"ipset", "restore"}, peers.String()}, restoreTables(s, admit)}
	},
	unload: []command{emptyTables, {args: []string{"ipset", "destroy", "peers"}}},
}

var emptyTables = command{[]string{"iptables-legacy-restore"}, `*raw
:PREROUTING ACCEPT [0:0]
COMMIT
*filter
:FORWARD ACCEPT [0:0]
COMMIT
`}

func restoreTables(s *scene, admit string) command {
	var b strings.Builder
	fmt.Fprintf(&b, `*raw
:PREROUTING ACCEPT [0:0]
-A PREROUTING -m physdev --physdev-in %[1]s -j CT --zone 1
-A PREROUTING -m physdev --physdev-in %[2]s -j CT --zone 1
COMMIT
*filter
:FORWARD ACCEPT [0:0]
:interfaces - [0:0]
-A FORWARD -m physdev --physdev-out %[1]s --physdev-is-bridged -j interfaces
-A FORWARD -m physdev --physdev-in %[1]s --physdev-is-bridged -j interfaces
-A FORWARD -m physdev --physdev-out %[2]s --physdev-is-bridged -j interfaces
-A FORWARD -m physdev --physdev-in %[2]s --physdev-is-bridged -j interfaces
`, s.sender.Interface, s.receiver.Interface)
	guestChains(&b, "sender", s.sender.Interface, fmt.Sprintf("-s %s/32 -m mac --mac-source %s", s.sending, s.sender.MAC), "")
	guestChains(&b, "receiver", s.receiver.Interface, fmt.Sprintf("-s %s/32 -m mac --mac-source %s", s.receiving, s.receiver.MAC), admit)
	b.WriteString("-A interfaces -j ACCEPT\nCOMMIT\n")
	return command{[]string{"iptables-legacy-restore"}, b.String()}
}

// guestChains are one guest's: what it owns, what it may send, and what may be sent to it.
func guestChains(b *strings.Builder, guest, link, owns, admit string) {
	fmt.Fprintf(b, `:to-%[1]s - [0:0]
:from-%[1]s - [0:0]
:owned-%[1]s - [0:0]
-A interfaces -m physdev --physdev-out %[2]s --physdev-is-bridged -j to-%[1]s
-A interfaces -m physdev --physdev-in %[2]s --physdev-is-bridged -j from-%[1]s
-A owned-%[1]s %[3]s -j RETURN
-A owned-%[1]s -j DROP
-A from-%[1]s -s 0.0.0.0/32 -d 255.255.255.255/32 -p udp -m udp --sport 68 --dport 67 -j RETURN
-A from-%[1]s -j owned-%[1]s
-A from-%[1]s -p udp -m udp --sport 68 --dport 67 -j RETURN
-A from-%[1]s -p udp -m udp --sport 67 --dport 68 -j DROP
-A from-%[1]s -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A from-%[1]s -j RETURN
-A to-%[1]s -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A to-%[1]s -p udp -m udp --sport 67 --dport 68 -j RETURN
%[4]s-A to-%[1]s -m conntrack --ctstate INVALID -j DROP
-A to-%[1]s -j DROP
`, guest, link, owns, admit)
}

// Of nftables, what an administrator who knows it would write: no more chains than needed.
var nftables = ruleset{
	load: func(s *scene, rules int) []command {
		var b strings.Builder
		fmt.Fprint(&b, `table inet gabionbench {
  chain sender { ct state established,related accept; drop; }
  chain receiver {
    ct state established,related accept
`)
		for i := range rules - 1 {
			fmt.Fprintf(&b, "    ip saddr %s %s dport %d accept\n", unmatched(i), s.protocol, port)
		}
		fmt.Fprintf(&b, `    ip saddr %[1]s %[5]s dport %[6]d-65535 accept
    drop
  }
  chain forwarding {
    type filter hook forward priority 0; policy drop;
    ether saddr . ip saddr != { %[3]s . %[1]s, %[4]s . %[2]s } drop
    ip daddr vmap { %[1]s : jump sender, %[2]s : jump receiver }
  }
}
`, s.sending, s.receiving, s.sender.MAC, s.receiver.MAC, s.protocol, firstPort)
		return []command{{[]string{"nft", "-f", "-"}, b.String()}}
	},
	unload: []command{{args: []string{"nft", "delete", "table", "inet", "gabionbench"}}},
}
