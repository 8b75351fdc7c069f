package main

import (
	"github.com/spf13/cobra"

	"github.com/gabion/gabion/client/rest"
)

func newOperationCommand(a *app) *cobra.Command {
	return noun(groupWalls, "operation", "Operations: how far a change is", a.reads(newOperationShowCommand(a)))
}

func newOperationShowCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "show ID",
		Short:   "Show how far a change is, also long after it ended",
		Example: "  gabion operation show 1c09e4f0-8f3c-4a2b-9a53-6d1c8d1f0a11",
		Args:    arguments("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			operation, err := c.Operation(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.format == formatJSON {
				return a.printJSON(operation)
			}
			return align(a.stdout, operationFacts(operation))
		},
	}
}

func operationFacts(o rest.Operation) [][]string {
	facts := [][]string{{"ID", o.ID}, {"State", stateText(o.State)}}
	if o.Reference.Command != "" {
		facts = append(facts, []string{"Asked", o.Reference.Command}, []string{"Of", orDash(o.Reference.ID)})
	}
	if o.Reason != "" {
		facts = append(facts, []string{"Reason", string(o.Reason)})
	}
	if o.Message != "" {
		facts = append(facts, []string{"Message", o.Message})
	}
	return facts
}

// stateText says what a state means, where its name leaves it open.
func stateText(state rest.OperationState) string {
	switch state {
	case rest.OperationStateSuccess:
		return "success: every host that it concerns enforces it"
	case rest.OperationStatePending:
		return "pending: made, but not enforced everywhere yet"
	default:
		return string(state)
	}
}
