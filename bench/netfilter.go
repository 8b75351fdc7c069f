package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// A ruleset writes the policy the way cloud platforms do: through br_netfilter, a
// chain per NIC, anti-spoofing first, then established connections, then rules.
type ruleset struct {
	load   func(s *scene, rules int) []command
	unload []command
}

// command is a program with what it reads.
type command struct {
	args  []string
	input string
}

func (c command) run() error {
	cmd := exec.Command(c.args[0], c.args[1:]...)
	cmd.Stdin = strings.NewReader(c.input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(c.args, " "), err, out)
	}
	return nil
}

// Settings that let netfilter see bridged frames, with room for the connections
// that the benchmark makes.
var netfilterSettings = [][2]string{
	{"net/bridge/bridge-nf-call-iptables", "1"},
	{"net/netfilter/nf_conntrack_udp_timeout", "1"},
}

func netfilter(r ruleset) func(*scene, int) (func() error, error) {
	return func(s *scene, rules int) (func() error, error) {
		err := s.host.Namespace().Do(func() error {
			for _, c := range r.load(s, rules) {
				if err := c.run(); err != nil {
					return err
				}
			}
			return bridgeNetfilter(true)
		})
		tearDown := func() error {
			return s.host.Namespace().Do(func() error {
				err := bridgeNetfilter(false)
				for _, c := range r.unload {
					err = errors.Join(err, c.run())
				}
				return err
			})
		}
		if err != nil {
			return nil, errors.Join(err, tearDown())
		}
		return tearDown, nil
	}
}

func bridgeNetfilter(on bool) error {
	for _, s := range netfilterSettings {
		value := s[1]
		if !on && strings.HasPrefix(s[0], "net/bridge") {
			value = "0"
		}
		if err := os.WriteFile("/proc/sys/"+s[0], []byte(value), 0); err != nil {
			return fmt.Errorf("let netfilter see bridged frames: %w", err)
		}
	}
	return nil
}

var plainChain = ruleset{
	load: func(s *scene, rules int) []command {
		var b strings.Builder
		chainHead(&b, s)
		for i := range rules - 1 {
			fmt.Fprintf(&b, "-A receiver -s %s/32 -p udp -m udp --dport %d -j ACCEPT\n", unmatched(i), s.port)
		}
		fmt.Fprintf(&b, "-A receiver -s %s/32 -p udp -m udp --dport 1024:65535 -j ACCEPT\n", s.sending)
		chainTail(&b)
		return []command{{[]string{"iptables-legacy-restore"}, b.String()}}
	},
	unload: emptyTables,
}

var ipset = ruleset{
	load: func(s *scene, rules int) []command {
		var set, b strings.Builder
		fmt.Fprintf(&set, "create peers hash:ip maxelem %d\n", rules+1)
		for i := range rules - 1 {
			fmt.Fprintf(&set, "add peers %s\n", unmatched(i))
		}
		fmt.Fprintf(&set, "add peers %s\n", s.sending)
		chainHead(&b, s)
		fmt.Fprintln(&b, "-A receiver -m set --match-set peers src -p udp -m udp --dport 1024:65535 -j ACCEPT")
		chainTail(&b)
		return []command{{[]string{"ipset", "restore"}, set.String()}, {[]string{"iptables-legacy-restore"}, b.String()}}
	},
	unload: append(emptyTables[:len(emptyTables):len(emptyTables)], command{args: []string{"ipset", "destroy", "peers"}}),
}

var emptyTables = []command{{[]string{"iptables-legacy-restore"}, "*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n"}}

func chainHead(b *strings.Builder, s *scene) {
	fmt.Fprintf(b, `*filter
:FORWARD DROP [0:0]
:sender - [0:0]
:receiver - [0:0]
-A FORWARD -m physdev --physdev-in %[1]s --physdev-is-bridged -j sender
-A FORWARD -m physdev --physdev-out %[2]s --physdev-is-bridged -j receiver
-A FORWARD -m physdev --physdev-out %[1]s --physdev-is-bridged -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A sender -s %[3]s/32 -m mac --mac-source %[4]s -j RETURN
-A sender -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A sender -j DROP
-A receiver -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
`, s.sender.Interface, s.receiver.Interface, s.sending, s.sender.MAC)
}

func chainTail(b *strings.Builder) {
	fmt.Fprint(b, "-A receiver -m conntrack --ctstate INVALID -j DROP\n-A receiver -j DROP\nCOMMIT\n")
}

var nftables = ruleset{
	load: func(s *scene, rules int) []command {
		var b strings.Builder
		fmt.Fprint(&b, `table inet gabionbench {
  chain established { ct state established,related accept; drop; }
  chain receiver {
    ct state established,related accept
`)
		for i := range rules - 1 {
			fmt.Fprintf(&b, "    ip saddr %s udp dport %d accept\n", unmatched(i), s.port)
		}
		fmt.Fprintf(&b, `    ip saddr %[1]s udp dport 1024-65535 accept
    drop
  }
  chain forwarding {
    type filter hook forward priority 0; policy drop;
    meta iifname "br0" ip saddr != { %[1]s, %[2]s } drop
    ip daddr %[2]s jump receiver
    ip daddr %[1]s jump established
  }
}
`, s.sending, s.receiving)
		return []command{{[]string{"nft", "-f", "-"}, b.String()}}
	},
	unload: []command{{args: []string{"nft", "delete", "table", "inet", "gabionbench"}}},
}
