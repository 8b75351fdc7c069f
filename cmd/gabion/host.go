package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
)

func newHostCommand(a *app) *cobra.Command {
	return noun(groupMachines, "host", "Hosts: hypervisors that enforce",
		a.reads(newHostListCommand(a)),
		a.reads(a.completes(newHostShowCommand(a), hostNames)),
		a.reads(newHostReceiptsCommand(a)),
		newHostTokenCommand(a),
		a.changes(a.completes(newHostDeleteCommand(a), hostNames)),
	)
}

func newHostListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List hosts, and how far each is",
		Example: "  gabion host list",
		Args:    arguments(),
		RunE:    lists(a, (*client.Client).Hosts, a.hostTable),
	}
}

func (a *app) hostTable(all []rest.Host) *table {
	t := &table{
		header: []string{"NAME", "STATE", "REVISION", "ENFORCED", "TOOK", "INSTANCES", "LAST SEEN", "VERSION", "ERROR"},
		empty:  "No hosts. Let one join: gabion host token NAME",
	}
	for _, h := range all {
		t.add(h.Name, string(h.State), number(h.Revision), a.enforcedText(h), tookText(h.Milliseconds), strconv.Itoa(h.Instances),
			a.since(h.LastSeen, "never"), orDash(h.Version), h.Error)
	}
	return t
}

// enforcedText says since when the host enforces what it should.
func (a *app) enforcedText(h rest.Host) string {
	if h.Behind {
		return "behind"
	}
	return a.since(h.EnforcedAt, "-")
}

func tookText(milliseconds *int) string {
	if milliseconds == nil {
		return "-"
	}
	return strconv.Itoa(*milliseconds) + " ms"
}

func newHostShowCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "show NAME",
		Short:   "Show a host: what it enforces, and which ports it leaves unprotected",
		Example: "  gabion host show hv1",
		Args:    arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, h, err := hosts.named(cmd.Context(), a, args[0])
			if err != nil {
				return err
			}
			if a.format == formatJSON {
				return a.printJSON(h)
			}
			return align(a.stdout, a.hostFacts(h))
		},
	}
}

func (a *app) hostFacts(h rest.Host) [][]string {
	facts := [][]string{
		{"Name", h.Name},
		{"State", string(h.State)},
		{"Joined", a.since(&h.CreatedAt, "-")},
		{"Last seen", a.since(h.LastSeen, "never")},
		{"Version", orDash(h.Version)},
		{"Instances", strconv.Itoa(h.Instances)},
		{"Revision", number(h.Revision)},
		{"Enforced", a.enforcedText(h)},
		{"Took", tookText(h.Milliseconds)},
		{"Policy", orDash(h.PolicyDigest)},
		{"Programs", orDash(h.ProgramDigest)},
		{"Protection", orDash(h.Protection)},
		{"Unprotected", orDash(strings.Join(h.UnprotectedPorts, ", "))},
		{"Repairs", strconv.Itoa(h.Repairs)},
	}
	if h.Error != "" {
		facts = append(facts, []string{"Error", h.Error})
	}
	return facts
}

func newHostReceiptsCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "receipts",
		Short: "List which hosts of your instances enforce what",
		Long: `List which hosts of your instances enforce what, as they said it themselves.

A host is current if it enforces the newest revision that concerns it. POLICY begins the
SHA-256 of the policy that it enforces; -o json has all of it.`,
		Example: "  gabion host receipts",
		Args:    arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			list, err := c.Receipts(cmd.Context())
			if err != nil {
				return err
			}
			return a.print(list, a.receiptTable(list.Receipts))
		},
	}
}

func (a *app) receiptTable(all []rest.Receipt) *table {
	t := &table{
		header: []string{"HOST", "CURRENT", "REVISION", "ENFORCED", "TOOK", "POLICY"},
		empty:  "No host has an instance of yours.",
	}
	for _, r := range all {
		current := "yes"
		if !r.Current {
			current = "behind"
		}
		t.add(r.Host, current, number(r.Revision), a.since(r.Since, "-"), tookText(r.Milliseconds), orDash(short(r.PolicyDigest)))
	}
	return t
}

func newHostTokenCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "token NAME",
		Short: "Print a token with which a host joins, once",
		Long: `Print a token with which the host of that name joins, once, within 15 minutes.

Only the token goes to standard output. Keep it secret until it is used.`,
		Example: `  gabion host token hv1 > token
  gabion agent --server 192.0.2.10:8444 --token-file token --state-dir /var/lib/gabion-agent     # on hv1`,
		Args: arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			token, err := c.CreateHostToken(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			a.say("%s", token.Token)
			fmt.Fprintf(a.stderr, "gabion: note: %s joins with it once, until %s: gabion agent --server … --token-file … --state-dir …\n",
				token.Host, token.ExpiresAt.Local().Format("15:04"))
			return nil
		},
	}
}

func newHostDeleteCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "delete NAME",
		Short:   "Forget a host that has no instances, and its certificate",
		Example: "  gabion host delete hv1",
		Args:    arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			operation, err := c.DeleteHost(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.finish(cmd.Context(), c, change{operation: operation, done: fmt.Sprintf("host %s deleted", args[0])})
		},
	}
}
