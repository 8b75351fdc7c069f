package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/internal/lab"
	"github.com/gabion/gabion/test/predict"
)

// demo is one run.
type demo struct {
	*report
	binary string // gabion
	lab    *lab.Lab
	server *lab.Server
	client *client.Client
	guests map[string]*lab.Guest
}

func (d *demo) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, step := range []func(context.Context) error{
		d.buildLab,
		d.tryUnfiltered,
		d.forgeUnfiltered,
		d.startGabion,
		d.writePolicy,
		d.tryEveryPair,
		d.closeEgress,
		d.changeGroups,
		d.revoke,
		d.forgeFiltered,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) close() error {
	if d.lab == nil {
		return nil
	}
	return d.lab.Close()
}

func (d *demo) buildLab(context.Context) (err error) {
	d.step("A lab: %d hosts, %d guests, and a client outside", len(hosts), len(machines))
	if d.lab, err = lab.New(); err != nil {
		return err
	}
	built := map[string]*lab.Host{}
	for _, name := range hosts {
		if built[name], err = d.lab.AddHost(name); err != nil {
			return err
		}
	}
	d.guests = map[string]*lab.Guest{}
	for _, m := range machines {
		if d.guests[m.name], err = built[m.host].AddGuest(m.name); err != nil {
			return err
		}
	}
	for _, e := range d.lab.Endpoints() {
		if err := e.Serve(ports(tcp), ports(udp)); err != nil {
			return err
		}
	}
	d.showMachines()
	return nil
}

func (d *demo) showMachines() {
	d.say("%-8s %-3s %-13s %s", "outside", "", d.lab.Outside.Addr4, d.lab.Outside.Addr6)
	for _, g := range d.lab.Guests() {
		d.say("%-8s %-3s %-13s %-18s %s", g.Name, g.Host.Name, g.Addr4, g.Addr6, g.Interface)
	}
}

// tryUnfiltered shows that it is not the lab that stops anything.
func (d *demo) tryUnfiltered(ctx context.Context) error {
	d.step("Nothing is filtered yet: everything passes")
	probes := everyPair(d.lab.Endpoints(), d.lab.Endpoints())
	passed, err := lab.Try(ctx, probes...)
	if err != nil {
		return err
	}
	results := make([]result, len(probes))
	for i, p := range probes {
		results[i] = result{p, passed[i], true}
	}
	d.results(results, "every service of every machine from every other")
	return nil
}

func (d *demo) startGabion(ctx context.Context) (err error) {
	d.step("A server, and an agent on each host")
	if d.server, err = d.lab.StartServer(ctx, d.binary); err != nil {
		return err
	}
	for _, h := range d.lab.Hosts() {
		d.command("gabion host token " + h.Name)
		agent, err := h.StartAgent(ctx, d.server)
		if err != nil {
			return err
		}
		if err := agent.AwaitOnline(ctx); err != nil {
			return err
		}
	}
	env, err := d.server.Environment()
	if err != nil {
		return err
	}
	config, err := client.ConfigFromEnv(func(name string) string { return env[name] })
	if err != nil {
		return err
	}
	d.client, err = client.New(config)
	return err
}

// gabion runs a command of the command line.
func (d *demo) gabion(ctx context.Context, args ...string) error {
	d.command(line(args))
	return d.quietly(ctx, args...)
}

func (d *demo) quietly(ctx context.Context, args ...string) error {
	_, err := d.server.Run(ctx, args...)
	return err
}

// line is how one types it.
func line(args []string) string {
	words := []string{"gabion"}
	for _, a := range args {
		if strings.Contains(a, " ") {
			a = `"` + a + `"`
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// try makes the probes and holds what they meet against the evaluator.
func (d *demo) try(ctx context.Context, probes []lab.Probe) ([]result, error) {
	predictor, err := predict.Read(ctx, d.client)
	if err != nil {
		return nil, err
	}
	passed, err := lab.Try(ctx, probes...)
	if err != nil {
		return nil, err
	}
	results := make([]result, len(probes))
	for i, p := range probes {
		results[i] = result{p, passed[i], predictor.Passes(p)}
	}
	return results, nil
}

// showLogs writes the end of what server and agents said.
func (d *demo) showLogs(w io.Writer) {
	if d.lab == nil {
		return
	}
	logs, err := filepath.Glob(filepath.Join(d.lab.Dir(), "*.log"))
	if err != nil {
		return
	}
	for _, log := range logs {
		text, err := os.ReadFile(log)
		if err != nil {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		fmt.Fprintf(w, "\n%s ends with:\n%s\n", filepath.Base(log), strings.Join(lines[max(0, len(lines)-10):], "\n"))
	}
}

// explainUse says what can be done with a demo that is left running.
func (d *demo) explainUse() {
	if d.server == nil {
		return
	}
	guest := d.guests["lb1"]
	d.step("Left running (KEEP=1)")
	for _, l := range [][2]string{
		{"source " + filepath.Join(d.server.Dir, "admin.env"), "credentials"},
		{d.binary + " group list", "and rule, instance, host"},
		{d.binary + " explain --from " + d.lab.Outside.Addr4.String() + " --to db1 --protocol tcp --port 5432", "who decides"},
		{"ip netns exec " + guest.Namespace().Name + " bash", "a shell inside lb1; likewise the others"},
		{"ip netns exec " + d.lab.Outside.Namespace().Name + " bash -c '</dev/tcp/" + guest.Addr4.String() + "/80 && echo open'", "a try from outside"},
		{"less " + filepath.Join(d.lab.Dir(), "*.log"), "what server and agents say"},
		{fmt.Sprintf("kill %d", os.Getpid()), "stops everything and removes it"},
	} {
		d.say("%s  %s", l[0], d.paint.dim("# "+l[1]))
	}
}

// refusal is what a command was refused with, nil if it was not.
func refusal(err error) *lab.Refusal {
	var r *lab.Refusal
	if errors.As(err, &r) {
		return r
	}
	return nil
}
