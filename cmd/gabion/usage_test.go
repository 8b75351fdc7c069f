package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestCommandLinesThatMakeNoSense(t *testing.T) {
	s := newStub(t, world())
	for args, want := range map[string]string{
		"frobnicate":        `unknown command "frobnicate"; see gabion --help`,
		"rul":               `unknown command "rul"; did you mean gabion rule?; see gabion --help`,
		"group lst":         `unknown command "lst"; did you mean gabion group list?; see gabion group --help`,
		"group list web":    `"web" is one argument too many; see gabion group list --help`,
		"group show":        `GROUP is missing; see gabion group show --help`,
		"group rename web":  `NAME is missing; see gabion group rename --help`,
		"group list -o xml": `--output: "xml" is neither; write table or json; see gabion group list --help`,
		"rule hits a b":     `"b" is one argument too many; see gabion rule hits --help`,
		"help group lst":    `unknown command "lst"; did you mean gabion group list?; see gabion help --help`,
		"help group list x": `"x" is one argument too many; see gabion help --help`,
		"rule add web":      `--protocol is missing; give one, such as tcp, or a --template, such as ssh; see gabion rule add --help`,

		"rule add web --prot tcp":                                          `unknown flag: --prot; see gabion rule add --help`,
		"rule add web --protocol tpc --from web":                           `--protocol: "tpc" is not one of tcp, udp, icmp, icmpv6, ah, esp, gre, ipip; see gabion rule add --help`,
		"rule add web --protocol tcp":                                      `--from is missing; give a network (0.0.0.0/0 is everyone on IPv4), a group, or --to for egress; see gabion rule add --help`,
		"rule add web --protocol tcp --port 0 --from ::/0":                 `--port "0" is no port; give 1 to 65535, a range such as 8000-8100, or several as in 80,443; see gabion rule add --help`,
		"rule add web --protocol gre --port 22 --from web":                 `gre has no ports; leave --port out; see gabion rule add --help`,
		"rule add web --protocol tcp --icmp-type 8 --from web":             `tcp has no ICMP type and code; leave --icmp-type and --icmp-code out; see gabion rule add --help`,
		"rule add web --protocol icmp --icmp-code 4 --from web":            `--icmp-code needs --icmp-type; see gabion rule add --help`,
		"rule add web --protocol tcp --from web --to db":                   `--from and --to are two rules; add them one after the other; see gabion rule add --help`,
		"rule add web --protocol tcp --direction egress --from web":        `--from is ingress; write --to for egress; see gabion rule add --help`,
		"rule add web --protocol tcp --direction ingress --to web":         `--to is egress; write --from for ingress; see gabion rule add --help`,
		"rule add web --protocol tcp --direction up --from web":            `--direction "up" is neither; write ingress or egress; see gabion rule add --help`,
		"rule add web --template ssh --port 2222":                          `--template says the protocol and ports; leave --port out; see gabion rule add --help`,
		"rule add web --protocol tcp --from 10.0.0.1/8":                    `--from: 10.0.0.1/8 has host bits set; write 10.0.0.0/8; see gabion rule add --help`,
		"rule add web --protocol tcp --from 10.0.0.0/33":                   `--from: "10.0.0.0/33" is not a network; write one like 203.0.113.0/24 or 2001:db8::/32; see gabion rule add --help`,
		"rule add web --protocol tcp --from 10.0.0.300":                    `--from: "10.0.0.300" is not a network; write one like 203.0.113.0/24 or 2001:db8::/32; see gabion rule add --help`,
		"rule add web --protocol tcp --from ::ffff:10.0.0.1":               `--from: ::ffff:10.0.0.1 is IPv4 written as IPv6; write 10.0.0.1/32; see gabion rule add --help`,
		"instance create i --interface a":                                  `1 of --interface, but 0 of --mac; give --interface, --mac and --ip once for each interface; see gabion instance create --help`,
		"instance create i --interface a --mac 52:54:00:00:00:01":          `--host is missing; an interface is on a host; see gabion instance create --help`,
		"instance create i --host h --interface a --mac m --ip 10.0.0.1/8": `--ip "10.0.0.1/8" is no address; write one like 192.0.2.21 or 2001:db8::21, without a prefix length; see gabion instance create --help`,
		"server": `--data-dir is missing; name the directory that holds the server's state; see gabion server --help`,
		"server --data-dir d --group-changes never":        `--group-changes "never" is neither; write stopped or live; see gabion server --help`,
		"server --data-dir d --zone=":                      `--zone is empty; name the zone, such as ch-gva-2; see gabion server --help`,
		"server --data-dir d --listen 127.0.0.1":           `--listen "127.0.0.1" is not HOST:PORT; write one like 127.0.0.1:8443; see gabion server --help`,
		"agent --state-dir d --server h":                   `--server "h" is not HOST:PORT; write one like 192.0.2.10:8444; see gabion agent --help`,
		"agent --state-dir d --server h:1 --name a/b":      `--name: "a/b" is not a host's name; give 1 to 63 letters, digits and inner . - _; see gabion agent --help`,
		"agent --state-dir d":                              `--server is missing; name the server's HOST:PORT for agents; see gabion agent --help`,
		"agent --server h:1":                               `--state-dir is missing; name the directory that holds the host's state; see gabion agent --help`,
		"agent --server h:1 --state-dir d --router r":      `--router "r" is no address; write one like 192.0.2.1 or fe80::1; see gabion agent --help`,
		"explain --from a --to b":                          `--protocol is missing; see gabion explain --help`,
		"explain --from a --to b --protocol tcp":           `--port is missing; say which port of tcp; see gabion explain --help`,
		"explain --from a --to b --protocol tcp --port x":  `--port: "x" is no number that it takes; see gabion explain --help`,
		"agent --vlan 70000":                               `--vlan: "70000" is no number that it takes; see gabion agent --help`,
		"group delete web --wait 3":                        `--wait: "3" is no duration; write one like 30s, 10m or 1h30m; see gabion group delete --help`,
		"instance create i --label web":                    `--label: web must be formatted as key=value; see gabion instance create --help`,
		"explain --from a --to b --protocol icmp --port 1": `icmp has no ports; leave --port out; see gabion explain --help`,
	} {
		t.Run(args, func(t *testing.T) {
			got := s.gabion(strings.Fields(args)...)
			if got.code != 2 || got.stdout != "" {
				t.Errorf("exit %d, stdout %q; want 2 and nothing", got.code, got.stdout)
			}
			if got.stderr != "gabion: "+want+"\n" {
				t.Errorf("stderr\n got %swant gabion: %s", got.stderr, want)
			}
		})
	}
	if len(s.changes) > 0 {
		t.Errorf("the server was asked for changes: %v", s.changes)
	}
}

func TestRefusals(t *testing.T) {
	s := newStub(t, world())
	for args, want := range map[string]string{
		"group show wbe":                         `no group "wbe"; gabion group list shows what there is`,
		"rule delete web 7777":                   `no rule "7777"; gabion rule list web shows what there is`,
		"instance show twin":                     `"twin" is 2 instances; say which by id: 1b000000, 1c000000`,
		"rule add web --protocol tcp --from dbb": `no group "dbb"; gabion group list shows what there is`,
		"rule add web --template telnet":         `no template "telnet"; there are ping, ssh`,
	} {
		t.Run(args, func(t *testing.T) {
			got := s.gabion(strings.Fields(args)...)
			if got.code != 1 || got.stdout != "" {
				t.Errorf("exit %d, stdout %q; want 1 and nothing", got.code, got.stdout)
			}
			if got.stderr != "gabion: "+want+"\n" {
				t.Errorf("stderr\n got %swant gabion: %s", got.stderr, want)
			}
		})
	}
}

func TestServersThatCanNotBeAsked(t *testing.T) {
	full := map[string]string{
		"EXOSCALE_API_KEY": "k", "EXOSCALE_API_SECRET": "s", "EXOSCALE_API_ENDPOINT": "http://127.0.0.1:1/v2",
	}
	for _, test := range []struct {
		name        string
		environment map[string]string
		want        string
	}{
		{"no credentials", nil, "gabion: no credentials: EXOSCALE_API_KEY is not set; source admin.env from the server's data directory\n"},
		{"nobody there", full, "gabion: can't reach http://127.0.0.1:1: connection refused; is the server running, and EXOSCALE_API_ENDPOINT right?\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := runWith(test.environment, "group", "list"); got.code != 1 || got.stderr != test.want {
				t.Errorf("exit %d, %q", got.code, got.stderr)
			}
		})
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	root := newRootCommand(&app{})
	for _, noun := range root.Commands() {
		for _, c := range append(noun.Commands(), noun) {
			if c.Short == "" || strings.HasSuffix(c.Short, ".") || len(c.Short) > 75 {
				t.Errorf("%s: Short is %q; want a short sentence without its full stop", c.CommandPath(), c.Short)
			}
			args := append(strings.Fields(c.CommandPath())[1:], "--help")
			if got := runWith(nil, args...); got.code != 0 || got.stderr != "" || !strings.Contains(got.stdout, "\nUsage:\n  gabion") {
				t.Errorf("%s --help: exit %d, %s", c.CommandPath(), got.code, got.stderr)
			}
		}
	}
}

// Most people read no further than the example.
func TestEveryCommandIsShownInUse(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, child := range c.Commands() {
			walk(child)
		}
		if !c.HasSubCommands() && !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s --help has no example", c.CommandPath())
		}
	}
	walk(newRootCommand(&app{}))
}
