package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
)

// auditPage is how many records one call asks for: what the API gives at most.
const auditPage = 1000

func newAuditCommand(a *app) *cobra.Command {
	return noun(groupPeople, "audit", "Audit log: who did what, from where",
		a.reads(newAuditListCommand(a)),
		newAuditVerifyCommand(a),
	)
}

// logFlag lets a command read the installation's log.
func logFlag(c *cobra.Command, installation *bool) {
	c.Flags().BoolVar(installation, "installation", false, "hosts, tokens and organizations, and requests of nobody known (operators)")
}

func logName(installation bool) rest.ListAuditRecordsParamsLog {
	if installation {
		return rest.ListAuditRecordsParamsLogInstallation
	}
	return rest.ListAuditRecordsParamsLogOrganization
}

func newAuditListCommand(a *app) *cobra.Command {
	var installation bool
	var limit int
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the newest records",
		Example: "  gabion audit list --limit 20\n  gabion audit list -o json   # with what was before and after",
		Args:    arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			records := func(c *client.Client, ctx context.Context) ([]rest.AuditRecord, error) {
				return c.AuditRecords(ctx, rest.ListAuditRecordsParams{Log: logName(installation), Limit: limit})
			}
			show := func(all []rest.AuditRecord) *table { return auditTable(all, installation) }
			return lists(a, records, show)(cmd, nil)
		},
	}
	logFlag(cmd, &installation)
	cmd.Flags().IntVar(&limit, "limit", 50, "`N` how many, at most 1000")
	return cmd
}

func auditTable(records []rest.AuditRecord, installation bool) *table {
	t := &table{header: []string{"#", "WHEN", "WHO", "FROM", "WHAT", "OF", "OUTCOME"}, empty: "Nothing was changed yet."}
	if !installation {
		t.empty = "Nothing was changed in this organization yet. Hosts, tokens and organizations (operators): gabion audit list --installation"
	}
	for _, r := range records {
		outcome := string(r.Outcome)
		if r.Message != "" {
			outcome += ": " + oneLine(r.Message)
		}
		if r.Count > 1 {
			outcome += fmt.Sprintf(" (%d times)", r.Count)
		}
		t.add(fmt.Sprint(r.Sequence), r.Time.Local().Format(time.DateTime), who(r),
			orDash(r.Remote), r.Action, orDash(subject(r)), outcome)
	}
	return t
}

// subject is what the change was of: an id, short as everywhere, or a name.
func subject(r rest.AuditRecord) string {
	if uuid.Validate(r.Subject) == nil {
		return short(r.Subject)
	}
	return r.Subject
}

// who did it: a key; without one whoever asked from somewhere, or the server itself.
func who(r rest.AuditRecord) string {
	switch {
	case r.Key != "":
		return cmp.Or(r.KeyName, r.Key)
	case r.Outcome == rest.AuditRecordOutcomeDenied:
		return "unknown"
	case r.Action == "join-host", r.Action == "renew-host":
		return "host"
	}
	return "server"
}

func newAuditVerifyCommand(a *app) *cobra.Command {
	var installation bool
	var head string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that no record was changed, added or taken away",
		Long: `Check that no record was changed, added or taken away.

Every record holds a hash of the one before. Whoever can write the store could write a
whole new chain, or cut its end off: keep the head that this prints somewhere else, and
give it the next time.`,
		Example: `  gabion audit verify
  gabion audit verify --head 1204:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.verifyAudit(cmd.Context(), logName(installation), head)
		},
	}
	logFlag(cmd, &installation)
	cmd.Flags().StringVar(&head, "head", "", "`SEQUENCE:HASH` that was printed before, and must still be there")
	return cmd
}

func (a *app) verifyAudit(ctx context.Context, log rest.ListAuditRecordsParamsLog, head string) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	records, err := wholeLog(ctx, c, log)
	if err != nil {
		return err
	}
	if err := gabion.VerifyAudit(records); err != nil {
		return err
	}
	if err := holdsHead(records, head); err != nil {
		return err
	}
	if len(records) == 0 {
		a.say("nothing was recorded yet")
		return nil
	}
	last := records[len(records)-1]
	a.say("%s, unbroken since %s; head %d:%s", count(len(records), "record"), records[0].Time.Local().Format(time.DateTime), last.Sequence, last.Hash)
	return nil
}

// holdsHead tells whether a head that was seen before is still part of the chain.
func holdsHead(records []gabion.AuditRecord, head string) error {
	if head == "" {
		return nil
	}
	sequence, hash, ok := strings.Cut(head, ":")
	if !ok {
		return usagef("--head %q is not SEQUENCE:HASH", head)
	}
	for _, r := range records {
		if fmt.Sprint(r.Sequence) == sequence && r.Hash == hash {
			return nil
		}
	}
	return fmt.Errorf("the log does not hold %s any more: it was cut or written anew since", head)
}

// wholeLog is all records, oldest first.
func wholeLog(ctx context.Context, c *client.Client, log rest.ListAuditRecordsParamsLog) ([]gabion.AuditRecord, error) {
	var all []gabion.AuditRecord
	page := rest.ListAuditRecordsParams{Log: log, Limit: auditPage}
	for {
		records, err := c.AuditRecords(ctx, page)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			all = append(all, chained(r))
		}
		if len(records) < auditPage {
			slices.Reverse(all)
			return all, nil
		}
		page.Before = records[len(records)-1].Sequence
	}
}

// chained is what of a record the chain covers.
func chained(r rest.AuditRecord) gabion.AuditRecord {
	return gabion.AuditRecord{
		AuditEntry: gabion.AuditEntry{Sequence: r.Sequence, Time: r.Time},
		Content:    r.Content, Previous: r.Previous, Hash: r.Hash,
	}
}
