package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Groups of commands in the help.
const (
	groupWalls    = "walls"
	groupMachines = "machines"
	groupPeople   = "people"
	groupServices = "services"
	groupRescue   = "rescue"
	groupOther    = "other"
)

func newRootCommand(a *app) *cobra.Command {
	cobra.EnableCommandSorting = false // they stand in the order in which one needs them
	cobra.AddTemplateFunc("flags", flagTable)
	root := &cobra.Command{
		Use:   "gabion",
		Short: "Security groups for your own hypervisors",
		Long: `Security groups for your own hypervisors.

Groups hold rules, instances belong to groups, and the agent on each host
enforces them. Nothing comes in until a rule allows it; everything goes out
until the first egress rule.`,
		Example: `  source D/admin.env                       # credentials that the server wrote to its data directory
  gabion group create web
  gabion rule add web --template ssh       # port 22, open in one command
  gabion rule add web --protocol tcp --port 80,443 --from 0.0.0.0/0
  gabion explain --from 203.0.113.7 --to web1 --protocol tcp --port 22`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddGroup(
		&cobra.Group{ID: groupWalls, Title: "Who may reach whom:"},
		&cobra.Group{ID: groupMachines, Title: "Where it holds:"},
		&cobra.Group{ID: groupPeople, Title: "Who may do what:"},
		&cobra.Group{ID: groupServices, Title: "What you run:"},
		&cobra.Group{ID: groupRescue, Title: "When something is lost:"},
		&cobra.Group{ID: groupOther, Title: "Other:"},
	)
	root.AddCommand(
		newGroupCommand(a),
		newRuleCommand(a),
		newApplyCommand(a),
		newExplainCommand(a),
		newFlowsCommand(a),
		newOperationCommand(a),
		newInstanceCommand(a),
		newHostCommand(a),
		newKeyCommand(a),
		newOrganizationCommand(a),
		newAuditCommand(a),
		newServerCommand(a),
		newAgentCommand(a),
		newBackupCommand(a),
		newRestoreCommand(a),
		newRecoverKeyCommand(a),
		newRenewEpochCommand(a),
		newDropAuthorityCommand(a),
		newVersionCommand(a),
	)
	root.SetHelpCommandGroupID(groupOther)
	root.SetCompletionCommandGroupID(groupOther)
	root.SetFlagErrorFunc(flagError)
	root.PersistentFlags().BoolP("help", "h", false, "show this help")
	root.SetUsageTemplate(usageTemplate)
	root.SetHelpTemplate(helpTemplate)
	beNoun(root)
	checkTopic(root)
	markRunning(a, root)
	proposeFiles(root)
	return root
}

// checkTopic makes gabion help refuse what is no command, as the command line does.
func checkTopic(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	help, _, err := root.Find([]string{"help"})
	if err != nil {
		panic(err) // it was made a line above
	}
	help.Example = "  gabion help group list"
	help.Args = func(_ *cobra.Command, args []string) error {
		topic, rest, err := root.Find(args)
		if err != nil || len(rest) == 0 {
			return err
		}
		return topic.Args(topic, rest)
	}
}

// flagError says what a flag takes, where pflag quotes Go's own words.
func flagError(_ *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return &usageError{err.Error()}
	}
	flag, value := invalid.GetFlag(), invalid.GetValue()
	switch flag.Value.Type() {
	case "int", "uint16":
		return usagef("--%s: %q is no number that it takes", flag.Name, value)
	case "duration":
		return usagef("--%s: %q is no duration; write one like 30s, 10m or 1h30m", flag.Name, value)
	}
	return usagef("--%s: %s", flag.Name, errors.Unwrap(invalid))
}

// noun is a command that only holds others.
func noun(group, use, short string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, GroupID: group}
	c.AddCommand(children...)
	beNoun(c)
	return c
}

// beNoun makes a command that holds others show its help when called alone, and
// name the nearest verb when called with an unknown one.
func beNoun(c *cobra.Command) {
	c.SuggestionsMinimumDistance = 2
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			return usagef("unknown command %q; did you mean %s %s?", args[0], c.CommandPath(), near[0])
		}
		return usagef("unknown command %q", args[0])
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
}

// arguments wants exactly the named arguments.
func arguments(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usagef("%s is missing", names[len(args)])
		case len(args) > len(names):
			return usagef("%q is one argument too many", args[len(names)])
		}
		return nil
	}
}

func newVersionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  gabion version",
		GroupID: groupOther,
		Args:    arguments(),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(a.stdout, "gabion %s\n", version)
			return err
		},
	}
}
