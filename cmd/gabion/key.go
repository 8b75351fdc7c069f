package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
)

func newKeyCommand(a *app) *cobra.Command {
	return noun(groupPeople, "key", "API keys: who may do what",
		a.reads(newKeyListCommand(a)),
		a.reads(newKeyCreateCommand(a)),
		a.reads(a.completes(newKeyRotateCommand(a), keyNames)),
		a.changes(a.completes(newKeyDeleteCommand(a), keyNames)),
	)
}

func newKeyListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the organization's keys, without their secrets",
		Example: "  gabion key list",
		Args:    arguments(),
		RunE:    lists(a, (*client.Client).Keys, a.keyTable),
	}
}

func (a *app) keyTable(all []rest.APIKey) *table {
	t := &table{header: []string{"KEY", "NAME", "SCOPES", "LAST USED", "EXPIRES"}, empty: "No keys."}
	for _, k := range all {
		expires := "never"
		if k.ExpiresAt != nil {
			expires = k.ExpiresAt.Local().Format(time.DateTime)
		}
		t.add(k.Key, k.Name, scopeText(k.Scopes, k.Operator), a.since(k.LastUsedAt, "never"), expires)
	}
	return t
}

func scopeText(scopes []rest.Scope, operator bool) string {
	texts := make([]string, len(scopes), len(scopes)+1)
	for i, s := range scopes {
		texts[i] = string(s)
	}
	if operator {
		texts = append(texts, "operator")
	}
	return strings.Join(texts, ",")
}

// keyFlags are what a command line says about a new key.
type keyFlags struct {
	scopes       []string
	operator     bool
	expires      time.Duration
	organization string
}

func newKeyCreateCommand(a *app) *cobra.Command {
	flags := &keyFlags{}
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a key, and print it as a file to source",
		Long: `Make a key, and print it as a file to source. Its secret is shown this once. Where the
server is and whom to trust is not in it: EXOSCALE_API_ENDPOINT and SSL_CERT_FILE.

Scopes: read looks at everything but keys and audit; rules changes groups and rules;
instances changes instances and their groups; admin does all of that, and keys and
audit. A key can't do more than the key that makes it.`,
		Example: `  gabion key create ci --scope rules > ci.env
  gabion key create watcher --scope read --expires-in 720h > watcher.env
  gabion key create boss --scope admin --organization acme > acme.env     # operators`,
		Args: arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.createKey(cmd.Context(), args[0], flags) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringSliceVar(&flags.scopes, "scope", nil, "`SCOPE` read, rules, instances or admin; repeat for several")
	f.DurationVar(&flags.expires, "expires-in", 0, "`DURATION` after which it is refused; without it never")
	f.StringVar(&flags.organization, "organization", "", "`NAME` of another organization (operators)")
	f.BoolVar(&flags.operator, "operator", false, "may also do what is above organizations (operators)")
	chooses(cmd, "scope", "read", "rules", "instances", "admin")
	a.completesFlag(cmd, "organization", organizationNames)
	return cmd
}

func (f *keyFlags) request(name string, now time.Time) (rest.CreateAPIKeyRequest, error) {
	request := rest.CreateAPIKeyRequest{Name: name, Operator: f.operator}
	if len(f.scopes) == 0 {
		return request, usagef("--scope is missing; give read, rules, instances or admin")
	}
	for _, s := range f.scopes {
		request.Scopes = append(request.Scopes, rest.Scope(s))
	}
	switch {
	case f.expires < 0:
		return request, usagef("--expires-in %s is in the past", f.expires)
	case f.expires > 0:
		expires := now.Add(f.expires).UTC().Truncate(time.Second)
		request.ExpiresAt = &expires
	}
	return request, nil
}

func (a *app) createKey(ctx context.Context, name string, flags *keyFlags) error {
	request, err := flags.request(name, a.now())
	if err != nil {
		return err
	}
	if flags.organization != "" {
		c, o, err := organizations.named(ctx, a, flags.organization)
		if err != nil {
			return err
		}
		return a.showKey(c.CreateKeyFor(ctx, o.ID, request))
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	return a.showKey(c.CreateKey(ctx, request))
}

// showKey prints a new key: as a file that a shell sources, or as the API has it.
func (a *app) showKey(k rest.CreatedAPIKey, err error) error {
	if err != nil {
		return err
	}
	if a.format == formatJSON {
		return a.printJSON(k)
	}
	a.sayKey(fmt.Sprintf("%s (%s)", k.Name, scopeText(k.Scopes, k.Operator)), k.Key, k.Secret)
	fmt.Fprintln(a.stderr, "gabion: note: the secret is shown this once; keep it where only its user can read it")
	return nil
}

func (a *app) sayKey(title, key, secret string) {
	a.say("# %s", title)
	a.say("export EXOSCALE_API_KEY=%s", key)
	a.say("export EXOSCALE_API_SECRET=%s", secret)
}

func newKeyRotateCommand(a *app) *cobra.Command {
	overlap := 24 * time.Hour
	cmd := &cobra.Command{
		Use:     "rotate KEY",
		Short:   "Make a successor with the same rights; the old key works on for a while",
		Example: "  gabion key rotate ci --overlap 1h > ci.env",
		Args:    arguments("KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, k, err := keys.named(cmd.Context(), a, args[0])
			if err != nil {
				return err
			}
			seconds := int(overlap / time.Second)
			return a.showKey(c.RotateKey(cmd.Context(), k.Key, rest.RotateAPIKeyRequest{OverlapSeconds: &seconds}))
		},
	}
	cmd.Flags().DurationVar(&overlap, "overlap", overlap, "`DURATION` that the old key works on, at most 168h")
	return cmd
}

func newKeyDeleteCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "delete KEY",
		Short:   "Revoke a key at once",
		Example: "  gabion key delete EXO0123456789abcdef01234567",
		Args:    arguments("KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, k, err := keys.named(cmd.Context(), a, args[0])
			if err != nil {
				return err
			}
			operation, err := c.DeleteKey(cmd.Context(), k.Key)
			if err != nil {
				return err
			}
			return a.finish(cmd.Context(), c, change{operation: operation, done: fmt.Sprintf("key %s (%s) revoked", k.Name, k.Key)})
		},
	}
}
