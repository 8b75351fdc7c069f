package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
)

func newHostCommand(a *app) *cobra.Command {
	return noun(groupMachines, "host", "Hosts: hypervisors that enforce",
		a.reads(newHostListCommand(a)),
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
