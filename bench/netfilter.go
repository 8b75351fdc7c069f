package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/vishvananda/netlink"
)

// A ruleset writes the policy for netfilter, which sees bridged packets through br_netfilter.
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

func runAll(commands []command) error {
	for _, c := range commands {
		if err := c.run(); err != nil {
			return err
		}
	}
	return nil
}

func netfilter(r ruleset) func(*scene, int) (func() error, error) {
	return func(s *scene, rules int) (func() error, error) {
		inHost := s.host.Namespace().Do
		tearDown := func() error {
			return inHost(func() error {
				return errors.Join(bridgeNetfilter("0"), runAll(r.unload), netlink.ConntrackTableFlush(netlink.ConntrackTable))
			})
		}
		err := inHost(func() error {
			return errors.Join(runAll(r.load(s, rules)), bridgeNetfilter("1"), set("net/netfilter/nf_conntrack_udp_timeout", "1"))
		})
		if err != nil {
			return nil, errors.Join(err, tearDown())
		}
		return tearDown, nil
	}
}

// bridgeNetfilter lets netfilter see bridged packets, or not.
func bridgeNetfilter(on string) error { return set("net/bridge/bridge-nf-call-iptables", on) }

func set(name, value string) error {
	if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0); err != nil {
		return fmt.Errorf("set %s (are br_netfilter and nf_conntrack there?): %w", name, err)
	}
	return nil
}

// Netfilter's table of connections is the kernel's: it must neither fill up, which
// would have it drop what the others pass, nor be slow for want of buckets.
var room = map[string]string{
	"net/netfilter/nf_conntrack_max":     "4194304",
	"net/netfilter/nf_conntrack_buckets": "1048576",
}

// prepareNetfilter gives connections that room.
func prepareNetfilter() (restore func() error, err error) {
	before := map[string]string{}
	for name, value := range room {
		text, errRead := os.ReadFile("/proc/sys/" + name)
		before[name] = strings.TrimSpace(string(text))
		err = errors.Join(err, errRead, set(name, value))
	}
	return func() (err error) {
		for name, value := range before {
			err = errors.Join(err, set(name, value))
		}
		return err
	}, err
}
