package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitDone    = 0
	exitRefused = 1 // the command made sense, and was refused or failed
	exitUsage   = 2 // the command made no sense
)

// app is one run of the command line.
type app struct {
	env
	format  format        // of what reading commands print
	wait    time.Duration // of changing commands, for hosts
	running bool          // the command line made sense; errors from here on are refusals
}

// usageError says that the command line made no sense.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// errDenied ends a run with exitRefused without a word: stdout has the answer.
var errDenied = errors.New("denied")

// run executes one command line and returns its exit code.
func run(ctx context.Context, e env, args []string) int {
	e.stderr = terminal{e.stderr}
	a := &app{env: e}
	root := newRootCommand(a)
	root.SetArgs(args)
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	command, err := root.ExecuteContextC(ctx)
	return a.exit(command, err)
}

// exit says in one line what went wrong, if anything did.
func (a *app) exit(command *cobra.Command, err error) int {
	var usage *usageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errDenied):
		return exitRefused
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(a.stderr, "gabion: interrupted")
		return exitRefused
	case a.running && !errors.As(err, &usage):
		fmt.Fprintf(a.stderr, "gabion: %s\n", oneLine(err.Error()))
		return exitRefused
	}
	fmt.Fprintf(a.stderr, "gabion: %s; see %s --help\n", oneLine(err.Error()), command.CommandPath())
	return exitUsage
}

// oneLine keeps a message of several lines on one.
func oneLine(s string) string {
	return strings.Join(strings.Fields(s), " ")
}

// markRunning makes every command under c note that it began, which tells a
// refusal from a command line that made no sense.
func markRunning(a *app, c *cobra.Command) {
	for _, child := range c.Commands() {
		markRunning(a, child)
	}
	if execute := c.RunE; execute != nil {
		c.RunE = func(cmd *cobra.Command, args []string) error {
			a.running = true
			return execute(cmd, args)
		}
	}
}
