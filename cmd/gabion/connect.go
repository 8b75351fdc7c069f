package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
)

// defaultWait is how long a change waits for the hosts to enforce it.
const defaultWait = 30 * time.Second

// client talks to the server that the environment names.
func (a *app) client() (*client.Client, error) {
	config, err := client.ConfigFromEnv(a.getenv)
	if err != nil {
		return nil, err
	}
	config.UserAgent = "gabion/" + version
	config.OnStale = sync.OnceFunc(func() {
		fmt.Fprintln(a.stderr, "gabion: note: this may be out of date: the server's etcd has no quorum, and nothing can be changed until it has")
	})
	return client.New(config)
}

// changes gives a changing command its --wait.
func (a *app) changes(c *cobra.Command) *cobra.Command {
	c.Flags().DurationVar(&a.wait, "wait", defaultWait, "`DURATION` how long to wait until hosts enforce it; 0 for not at all")
	return c
}

// change is what a command asked for, and how to say that it is done.
type change struct {
	operation rest.Operation
	done      string
	policy    bool     // hosts have to enforce it
	details   []string // further lines
}

// finish waits until a change is enforced, and says what was done. A change that
// some hosts have yet to enforce is a refusal, unless nobody waits for them:
// whoever relies on it must not go on.
func (a *app) finish(ctx context.Context, c *client.Client, made change) error {
	waiting, cancel := context.WithTimeout(ctx, a.wait)
	defer cancel()
	operation, err := c.Wait(waiting, made.operation)
	if err != nil {
		return err
	}
	pending := operation.State == rest.OperationStatePending
	if made.policy && !pending {
		made.done += "; enforced"
	}
	a.say("%s", made.done)
	for _, line := range made.details {
		a.say("  %s", line)
	}
	if pending && a.wait > 0 {
		return fmt.Errorf("not enforced everywhere yet: %s; gabion operation show %s tells when it is", operation.Message, operation.ID)
	}
	if operation.Message != "" {
		fmt.Fprintf(a.stderr, "gabion: note: %s\n", oneLine(operation.Message))
	}
	return nil
}
