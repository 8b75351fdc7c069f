package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gabion/gabion/internal/server"
)

func newBackupCommand(a *app) *cobra.Command {
	var dataDir string
	cmd := &cobra.Command{
		Use:     "backup FILE",
		Short:   "Back up a server's store and keys into one file",
		GroupID: groupRescue,
		Long: `Back up a server's store and keys into one file, on the server's machine.

The server goes on meanwhile; it may also be stopped. The file has everything that
a new machine needs: the embedded store as it is at one moment, ca.pem, ca.key and
secret. It is not encrypted: whoever reads it can be every host and every operator.
Its mode is 0600. A store in an etcd cluster of yours is backed up with etcdctl.`,
		Example: "  gabion backup --data-dir /var/lib/gabion /backup/gabion-$(date +%F).tar",
		Args:    arguments("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needDataDir(dataDir); err != nil {
				return err
			}
			m, err := server.Backup(cmd.Context(), dataDir, args[0], version, a.log())
			if err != nil {
				return err
			}
			a.say("backed up to %s: the store (%d KiB, schema version %d) and the installation's keys", args[0], m.Files[0].Size>>10, m.Schema)
			fmt.Fprintln(a.stderr, "gabion: note: the file is not encrypted and holds the installation's keys; keep it as safe as the server")
			return nil
		},
	}
	cmd.Flags().StringVar(&dataDir, "data-dir", "", "`DIR` of the server")
	return cmd
}

func newRestoreCommand(a *app) *cobra.Command {
	var dataDir string
	cmd := &cobra.Command{
		Use:     "restore FILE",
		Short:   "Make a server's data directory out of a backup",
		GroupID: groupRescue,
		Long: `Make a server's data directory out of a backup, as the user that the server runs as.

Stop the installation's server first: two of them would give hosts two policies.
The directory has to be new or empty. Hosts take the policy of the backup although
they may know a newer one. What was used up or ended since stays so for join tokens
and sessions; API keys that were deleted since are back: delete them again.`,
		Example: "  runuser -u gabion -- gabion restore --data-dir /var/lib/gabion /backup/gabion-2026-11-22.tar",
		Args:    arguments("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needDataDir(dataDir); err != nil {
				return err
			}
			m, err := server.Restore(cmd.Context(), dataDir, args[0], a.log())
			if err != nil {
				return err
			}
			a.say("restored to %s: what gabion %s backed up at %s; start the server", dataDir, m.Version, m.Created.Local().Format(time.DateTime))
			return nil
		},
	}
	cmd.Flags().StringVar(&dataDir, "data-dir", "", "`DIR` that gets everything; made if it is not there")
	return cmd
}

func newRecoverKeyCommand(a *app) *cobra.Command {
	return a.onStore(&cobra.Command{
		Use:   "recover-key",
		Short: "Make an operator's key when all are lost, on a server's machine",
		Long: `Make an operator's key when all are lost, and print it as a file to source.

It takes nothing but a server's data directory, whether the server runs or not, and
is told in the audit log of the first organization. From its next start on, the
server writes the key into admin.env.`,
		Example: "  gabion recover-key --data-dir /var/lib/gabion > operator.env",
	}, func(ctx context.Context, config server.Config) error {
		key, err := server.RecoverKey(ctx, config)
		if err != nil {
			return err
		}
		a.sayKey(key.Name+" (admin,operator)", key.ID, key.Secret)
		return nil
	})
}

func newRenewEpochCommand(a *app) *cobra.Command {
	return a.onStore(&cobra.Command{
		Use:   "renew-epoch",
		Short: "Let hosts take an older policy, after an etcd cluster was restored",
		Long: `Let hosts take an older policy, after an etcd cluster of yours was restored.

Hosts refuse to go back in a store's history, so a store that was restored has to
begin a new one. Call it once, after the cluster is restored and before the first
server starts on it. Join tokens and sessions of the backup are void then.
gabion restore does all of that by itself.`,
		Example: "  gabion renew-epoch --data-dir /var/lib/gabion --etcd-endpoints https://192.0.2.21:2379 --etcd-cacert /etc/gabion/etcd-ca.pem",
	}, func(ctx context.Context, config server.Config) error {
		if err := server.RenewEpoch(ctx, config); err != nil {
			return err
		}
		a.say("the store has begun a new epoch; start the servers")
		return nil
	})
}

func newDropAuthorityCommand(a *app) *cobra.Command {
	return a.onStore(&cobra.Command{
		Use:   "drop-authority",
		Short: "Give up the installation's authority, whose key was stolen",
		Long: `Give up the installation's authority, whose key may have been stolen.

Stop the installation's servers first. The next one that starts makes a new
authority; others need its ca.pem and ca.key. Every host has to join again: what it
enforces stays meanwhile.`,
		Example: "  runuser -u gabion -- gabion drop-authority --data-dir /var/lib/gabion",
	}, func(ctx context.Context, config server.Config) error {
		if err := server.DropAuthority(ctx, config); err != nil {
			return err
		}
		a.say("the authority is gone; start a server, which makes another, and let every host join again")
		return nil
	})
}

// onStore makes c a command that works on a server's store itself, not through its API.
func (a *app) onStore(c *cobra.Command, do func(context.Context, server.Config) error) *cobra.Command {
	var config server.Config
	c.GroupID, c.Args = groupRescue, arguments()
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := needDataDir(config.DataDir); err != nil {
			return err
		}
		config.Log = a.log()
		return do(cmd.Context(), config)
	}
	storeFlags(c.Flags(), &config)
	return c
}

func needDataDir(dir string) error {
	if dir == "" {
		return usagef("--data-dir is missing; name the directory that holds the server's state")
	}
	return nil
}

// storeFlags say which store a command is about.
func storeFlags(f *pflag.FlagSet, c *server.Config) {
	f.SortFlags = false
	f.StringVar(&c.DataDir, "data-dir", "", "`DIR` of a server")
	etcdFlags(f, c)
}

// etcdFlags say which etcd holds the state.
func etcdFlags(f *pflag.FlagSet, c *server.Config) {
	f.StringSliceVar(&c.EtcdEndpoints, "etcd-endpoints", nil, "`URLS` of an etcd cluster of yours, separated by commas; without it the embedded one")
	f.StringVar(&c.EtcdTLS.CA, "etcd-cacert", "", "`FILE` with the authorities that sign the cluster's certificates; without it the system's")
	f.StringVar(&c.EtcdTLS.Cert, "etcd-cert", "", "`FILE` with the certificate to show to the cluster, read again for each connection")
	f.StringVar(&c.EtcdTLS.Key, "etcd-key", "", "`FILE` with that certificate's key")
	f.BoolVar(&c.EtcdTLS.Insecure, "insecure-etcd-without-tls", false, "accept http:// endpoints beyond this machine, where others can read and change everything")
}
