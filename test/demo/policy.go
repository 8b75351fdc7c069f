package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gabion/gabion/client/rest"
	"github.com/gabion/gabion/internal/lab"
)

// writePolicy writes the groups, rules and instances of the plan.
func (d *demo) writePolicy(ctx context.Context) error {
	d.step("Groups, rules and instances, by the command line")
	for _, name := range []string{common, loadBalancers, appServers, cacheServers, dbServers} {
		if err := d.gabion(ctx, "group", "create", name); err != nil {
			return err
		}
	}
	for _, r := range rules {
		if err := d.gabion(ctx, append([]string{"rule", "add"}, r...)...); err != nil {
			return err
		}
	}
	if err := d.gabion(ctx, "group", "add-source", appServers, partner); err != nil {
		return err
	}
	for _, m := range machines {
		if err := d.gabion(ctx, d.instance(m)...); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) instance(m machine) []string {
	g := d.guests[m.name]
	return []string{
		"instance", "create", m.name, "--host", m.host, "--interface", g.Interface, "--mac", g.MAC.String(),
		"--ip", g.Addr4.String() + "," + g.Addr6.String(), "--group", strings.Join(m.groups, ","),
	}
}

func (d *demo) tryEveryPair(ctx context.Context) error {
	d.step("Every service of every machine from every other, beside the evaluator's prediction")
	all := d.lab.Endpoints()
	results, err := d.try(ctx, everyPair(all, all))
	if err != nil {
		return err
	}
	m := newMatrix(d.paint, all, all, results)
	m.write(d.out)
	m.writeLegend(d.out)
	d.results(results, "TCP, UDP and ICMP over IPv4 and IPv6")
	return d.explain(ctx)
}

// explain asks for the reasons of two of the verdicts.
func (d *demo) explain(ctx context.Context) error {
	for _, c := range []struct {
		from string
		code int
	}{{"app1", 0}, {d.lab.Outside.Addr4.String(), 1}} {
		args := []string{"explain", "--from", c.from, "--to", "db1", "--protocol", "tcp", "--port", "5432"}
		d.command(line(args))
		out, err := d.server.Run(ctx, args...)
		code := 0
		if r := refusal(err); r != nil {
			code = r.Code
		} else if err != nil {
			return err
		}
		summary, _, _ := strings.Cut(out, "\n")
		d.check(code == c.code, "%s", summary)
	}
	return nil
}

// closeEgress shows the egress switch.
func (d *demo) closeEgress(ctx context.Context) error {
	d.step("The first egress rule closes all other egress")
	all, databases := d.lab.Endpoints(), []*lab.Endpoint{d.guests["db1"].Endpoint, d.guests["db2"].Endpoint}
	outgoing := everyPair(databases, all)
	probes := slices.Concat(outgoing, everyPair(all, databases))
	if err := d.gabion(ctx, append([]string{"rule", "add"}, firstEgress...)...); err != nil {
		return err
	}
	closed, err := d.try(ctx, probes)
	if err != nil {
		return err
	}
	newMatrix(d.paint, databases, all, closed).write(d.out)
	d.results(closed, "from the databases, and to them: answers still leave")
	d.check(onlyReplication(closed[:len(outgoing)]), "only replication leaves the databases")
	if err := d.deleteRules(ctx, dbServers, func(r rest.SecurityGroupRule) bool { return r.FlowDirection == rest.FlowDirectionEgress }); err != nil {
		return err
	}
	open, err := d.try(ctx, probes)
	if err != nil {
		return err
	}
	d.results(open, "without it egress is open again")
	return nil
}

// onlyReplication tells whether nothing passed but connections to databases.
func onlyReplication(results []result) bool {
	passed := 0
	for _, r := range results {
		if !r.seen {
			continue
		}
		if r.probe.Port != 5432 || !strings.HasPrefix(r.probe.To.Name, "db") {
			return false
		}
		passed++
	}
	return passed > 0
}

// deleteRules deletes the group's rules that match.
func (d *demo) deleteRules(ctx context.Context, group string, match func(rest.SecurityGroupRule) bool) error {
	var g rest.SecurityGroup
	if err := d.show(ctx, &g, "group", "show", group); err != nil {
		return err
	}
	for _, r := range g.Rules {
		if !match(r) {
			continue
		}
		if err := d.gabion(ctx, "rule", "delete", group, r.ID); err != nil {
			return err
		}
	}
	return nil
}

// show reads what a command shows of one object.
func (d *demo) show(ctx context.Context, into any, args ...string) error {
	out, err := d.server.Run(ctx, append(args, "-o", "json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		return fmt.Errorf("read %s: %w", line(args), err)
	}
	return nil
}

// changeGroups shows that groups change on stopped instances only.
func (d *demo) changeGroups(ctx context.Context) error {
	const name = "app2"
	d.step("Groups of an instance change only while it is stopped")
	guest := d.guests[name]
	attach := []string{"instance", "attach", name, cacheServers}
	refused := refusal(d.gabion(ctx, attach...))
	if refused == nil {
		d.check(false, "refused on the running instance")
		return nil
	}
	d.check(refused.Code == 1, "refused on the running instance: %s", strings.TrimPrefix(refused.Message, "gabion: "))
	if err := guest.SetUp(false); err != nil {
		return err
	}
	if err := d.awaitState(ctx, name, rest.InstanceStateStopped); err != nil {
		return err
	}
	err := d.gabion(ctx, attach...)
	if refused := refusal(err); refused != nil {
		d.check(false, "refused on the stopped instance: %s", refused.Message)
		return nil
	}
	if err != nil {
		return err
	}
	d.check(true, "done on the stopped instance")
	if err := guest.SetUp(true); err != nil {
		return err
	}
	if err := d.awaitState(ctx, name, rest.InstanceStateRunning); err != nil {
		return err
	}
	itself := []*lab.Endpoint{guest.Endpoint}
	results, err := d.try(ctx, append(everyPair(d.lab.Endpoints(), itself), everyPair(itself, d.lab.Endpoints())...))
	if err != nil {
		return err
	}
	d.results(results, "to and from %s, which is a cache server now, too", name)
	return nil
}

// awaitState waits until the server knows what the host has seen.
func (d *demo) awaitState(ctx context.Context, name string, want rest.InstanceState) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		var i rest.Instance
		if err := d.show(ctx, &i, "instance", "show", name); err != nil {
			return fmt.Errorf("wait until %s is %s: %w", name, want, err)
		}
		if i.State == want {
			return nil
		}
	}
}
