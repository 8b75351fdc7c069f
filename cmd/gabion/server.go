package main

import (
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/gabion/gabion/internal/server"
)

func newServerCommand(a *app) *cobra.Command {
	var (
		config       server.Config
		groupChanges string
	)
	cmd := &cobra.Command{
		Use:     "server",
		Short:   "Run the server: the API, the policy and the agents' stream",
		GroupID: groupServices,
		Long: `Run the server: the API, the policy and the agents' stream.

At its first start it makes its own certificate authority and an operator's key,
and writes ca.pem and admin.env into its data directory. It needs no privilege.
SIGHUP takes over the files of --tls-cert at once.`,
		Example: `  gabion server --data-dir /var/lib/gabion --listen 192.0.2.10:8443 --agent-listen 192.0.2.10:8444
  source /var/lib/gabion/admin.env`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := config.Check(); err != nil {
				return usagef("%s", err)
			}
			if groupChanges != "stopped" && groupChanges != "live" {
				return usagef("--group-changes %q is neither; write stopped or live", groupChanges)
			}
			config.LiveGroupChanges = groupChanges == "live"
			config.Version, config.Log = version, a.log()
			return server.Run(cmd.Context(), config)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&config.DataDir, "data-dir", "", "`DIR` that holds all state; made if it is not there")
	f.StringVar(&config.Listen, "listen", "127.0.0.1:8443", "`HOST:PORT` of the API")
	f.StringVar(&config.AgentListen, "agent-listen", "127.0.0.1:8444", "`HOST:PORT` of the agents' stream")
	f.StringVar(&config.ListenHTTP, "listen-http", "", "`HOST:PORT` of the API without TLS, on loopback only, for a proxy on this machine; without it none")
	f.StringVar(&config.TLSCert, "tls-cert", "", "`FILE` with the API's certificate and its chain, read again when it changes; without it one of our own authority")
	f.StringVar(&config.TLSKey, "tls-key", "", "`FILE` with that certificate's key")
	etcdFlags(f, &config)
	f.StringVar(&config.Zone, "zone", "ch-gva-2", "`NAME` of the zone; Terraform's provider knows a fixed list")
	f.IntVar(&config.RateLimit, "rate-limit", 100, "`REQUESTS` that a key may make in a second, five times as many at once; 0 for any number")
	f.StringVar(&groupChanges, "group-changes", "stopped", "`WHEN` instances may change their groups: stopped or live")
	chooses(cmd, "group-changes", "stopped", "live")
	return cmd
}

// log is where the services write what happens to them.
func (a *app) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(a.stderr, nil))
}
