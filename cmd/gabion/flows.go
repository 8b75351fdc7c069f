package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
)

// flowFlags say which flows.
type flowFlags struct {
	instance                     string
	denied, allowed, all, follow bool
}

func newFlowsCommand(a *app) *cobra.Command {
	flags := &flowFlags{}
	cmd := &cobra.Command{
		Use:     "flows",
		Short:   "Show what packets do: open flows, drops, and both as they happen",
		GroupID: groupWalls,
		Long: `Show what packets do.

Without --follow, the flows that an instance has open now, or with --denied how
many of its packets were dropped, and why. With --follow, first packets of
conversations as they happen, until it is interrupted: with --denied (or nothing)
those that were dropped, with --allowed those that passed, with --all both.`,
		Example: `  gabion flows --instance web1 --denied --follow
  gabion flows --instance web1
  gabion flows --all --follow -o json | jq -c 'select(.reason == "denied-egress")'`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.check(); err != nil {
				return err
			}
			return a.flows(cmd.Context(), flags)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&flags.instance, "instance", "", "`INSTANCE` whose flows; with --follow, without it those of all")
	f.BoolVar(&flags.denied, "denied", false, "what was dropped")
	f.BoolVar(&flags.allowed, "allowed", false, "what passed")
	f.BoolVar(&flags.all, "all", false, "what was dropped and what passed")
	f.BoolVarP(&flags.follow, "follow", "f", false, "go on, as it happens")
	a.completesFlag(cmd, "instance", instanceNames)
	return a.reads(cmd)
}

func (f *flowFlags) check() error {
	chosen := 0
	for _, set := range []bool{f.denied, f.allowed, f.all} {
		if set {
			chosen++
		}
	}
	switch {
	case chosen > 1:
		return usagef("give one of --denied, --allowed and --all")
	case f.follow:
		return nil
	case f.instance == "":
		return usagef("--instance is missing; or follow all with --follow")
	case f.allowed || f.all:
		return usagef("--allowed and --all need --follow; without any, the open flows are shown")
	}
	return nil
}

func (f *flowFlags) verdict() rest.StreamFlowsParamsVerdict {
	switch {
	case f.all:
		return rest.StreamFlowsParamsVerdictAll
	case f.allowed:
		return rest.StreamFlowsParamsVerdictAllowed
	}
	return rest.StreamFlowsParamsVerdictDenied
}

func (a *app) flows(ctx context.Context, f *flowFlags) error {
	var id string
	c, err := a.client()
	if f.instance != "" {
		var i rest.Instance
		c, i, err = instances.named(ctx, a, f.instance)
		id = i.ID
	}
	switch {
	case err != nil:
		return err
	case f.follow:
		return a.follow(ctx, c, rest.StreamFlowsParams{Instance: id, Verdict: f.verdict()})
	case f.denied:
		return a.drops(ctx, c, id)
	}
	return a.openFlows(ctx, c, id)
}

func (a *app) drops(ctx context.Context, c *client.Client, id string) error {
	drops, err := c.InstanceDrops(ctx, id)
	if err != nil {
		return err
	}
	t := &table{header: []string{"INTERFACE", "REASON", "PACKETS", "LAST"}, empty: "Nothing was dropped."}
	for _, d := range drops {
		t.add(d.Interface, d.Reason, number(d.Packets), a.since(d.LastAt, "-"))
	}
	return a.print(orEmpty(drops), t)
}

func (a *app) openFlows(ctx context.Context, c *client.Client, id string) error {
	open, more, err := c.OpenFlows(ctx, id)
	if err != nil {
		return err
	}
	t := &table{header: []string{"DIRECTION", "PROTOCOL", "LOCAL", "REMOTE", "STATE", "IDLE", "RULE"}, empty: "No open flows."}
	for _, f := range open {
		rule := "-"
		if f.Rule != nil {
			rule = short(*f.Rule)
		}
		t.add(string(f.Direction), f.Protocol, endpoint(f.Local, f.LocalPort), endpoint(f.Remote, f.RemotePort),
			f.State, strconv.Itoa(f.IdleSeconds)+" s", rule)
	}
	if err := a.print(orEmpty(open), t); err != nil {
		return err
	}
	if more {
		fmt.Fprintf(a.stderr, "gabion: note: there are more; these are the first %d\n", len(open))
	}
	return nil
}

func endpoint(address string, port int) string {
	if port == 0 {
		return address
	}
	return net.JoinHostPort(address, strconv.Itoa(port))
}

// again is how long to wait before a stream that ended is opened again.
const again = time.Second

// follow prints events until it is interrupted. A server that restarts is waited for;
// what happens meanwhile is not shown, and that is said.
func (a *app) follow(ctx context.Context, c *client.Client, params rest.StreamFlowsParams) error {
	opened := false
	for {
		err := c.WatchFlows(ctx, params, func(w client.Watched) error {
			opened = true
			return a.printWatched(w)
		})
		switch {
		case ctx.Err() != nil:
			return nil // that is how one ends it
		case !opened || !errors.Is(err, client.ErrStreamEnded) && gabion.CodeOf(err) != gabion.CodeUnavailable:
			return err
		case errors.Is(err, client.ErrStreamEnded):
			fmt.Fprintln(a.stderr, "gabion: note: the stream ended; opening it again")
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return nil
		}
	}
}

func (a *app) printWatched(w client.Watched) error {
	switch {
	case w.Event != nil && a.format == formatJSON:
		return json.NewEncoder(a.stdout).Encode(w.Event)
	case w.Event != nil:
		a.say("%s", eventLine(*w.Event))
	case w.Lost > 0 && a.format == formatJSON:
		return json.NewEncoder(a.stdout).Encode(map[string]uint64{"lost": w.Lost})
	case w.Lost > 0:
		a.say("… %s lost: more happened than could be told", count(int(w.Lost), "event"))
	case w.Note != "still here" && w.Note != "watching":
		fmt.Fprintf(a.stderr, "gabion: note: %s\n", w.Note)
	}
	return nil
}

// eventLine is one event: 12:03:04 drop web1 <- app1 (10.0.0.5):41234 tcp 22 denied-ingress
func eventLine(e rest.FlowEvent) string {
	arrow := "<-"
	port := e.LocalPort
	if e.Direction == rest.FlowDirectionEgress {
		arrow, port = "->", e.RemotePort
	}
	line := fmt.Sprintf("%s %s %s %s %s", e.Time.Local().Format("15:04:05.000"), e.Verdict, e.Instance.Name, arrow, other(e))
	switch {
	case e.ICMP != nil:
		line += fmt.Sprintf(" %s %d/%d", e.Protocol, e.ICMP.Type, e.ICMP.Code)
	case port != 0:
		line += fmt.Sprintf(" %s %d", e.Protocol, port)
	case e.Protocol != "":
		line += " " + e.Protocol
	}
	line += "  " + e.Reason
	if e.Rule != nil && e.SecurityGroup != nil {
		line += fmt.Sprintf(" %s of group %s", short(*e.Rule), e.SecurityGroup.Name)
	}
	return line
}

// other is the remote end of an event: by name where it is an instance.
func other(e rest.FlowEvent) string {
	switch {
	case e.Remote == "":
		return "(no IP)"
	case e.RemoteInstance != nil:
		return fmt.Sprintf("%s (%s)", e.RemoteInstance.Name, e.Remote)
	}
	return e.Remote
}
