package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
)

// usualPage and maxPage are how many records one answer has.
const (
	usualPage = 100
	maxPage   = 1000
)

// ListAuditRecords answers a page of an audit log.
func (a *api) ListAuditRecords(w http.ResponseWriter, r *http.Request, params openapi.ListAuditRecordsParams) {
	a.show(w, r, func(ctx context.Context, org string) (any, error) {
		log, err := logOf(callerOf(ctx), params.Log)
		if err != nil {
			return nil, err
		}
		query := r.URL.Query()
		if query.Has("before") && params.Before < 1 {
			return nil, gabion.Invalid("before", "%d is out of range; give a sequence number from 1 on", params.Before)
		}
		limit := usualPage
		if query.Has("limit") {
			limit = params.Limit
		}
		if limit < 1 || limit > maxPage {
			return nil, gabion.Invalid("limit", "%d is out of range; give 1 to %d", limit, maxPage)
		}
		records, err := a.Store.Audit(ctx, log, params.Before, limit)
		if err != nil {
			return nil, err
		}
		return auditList(records)
	})
}

// logOf is the log that the caller asks for.
func logOf(c *caller, log openapi.ListAuditRecordsParamsLog) (string, error) {
	switch log {
	case "", openapi.ListAuditRecordsParamsLogOrganization:
		return c.Organization, nil
	case openapi.ListAuditRecordsParamsLogInstallation:
		if !c.Operator {
			return "", gabion.Forbidden("the installation's log is above organizations; use an operator's key")
		}
		return gabion.InstallationLog, nil
	}
	return "", gabion.Invalid("log", "%q is neither; write organization or installation", log)
}

func auditList(records []gabion.AuditRecord) (openapi.AuditRecordList, error) {
	list := openapi.AuditRecordList{Records: make([]openapi.AuditRecord, len(records))}
	for i, record := range records {
		var err error
		if list.Records[i], err = auditBody(record); err != nil {
			return list, err
		}
	}
	return list, nil
}

// auditBody is the record as its content says it.
func auditBody(record gabion.AuditRecord) (openapi.AuditRecord, error) {
	e := record.AuditEntry
	body := openapi.AuditRecord{
		Sequence: e.Sequence, Time: e.Time, Request: e.Request, Key: e.Key, KeyName: e.KeyName, Remote: e.Remote,
		Action: e.Action, Subject: e.Subject, Operation: e.Operation, Revision: record.Revision, Message: e.Message, Count: e.Count,
		Outcome: openapi.AuditRecordOutcomeDone,
		Content: record.Content, Previous: record.Previous, Hash: record.Hash,
	}
	if e.Denied {
		body.Outcome = openapi.AuditRecordOutcomeDenied
	}
	for _, object := range []struct {
		text json.RawMessage
		body *map[string]any
	}{{e.Before, &body.Before}, {e.After, &body.After}} {
		if len(object.text) == 0 {
			continue
		}
		if err := json.Unmarshal(object.text, object.body); err != nil {
			return body, fmt.Errorf("decode audit record %d: %w", e.Sequence, err)
		}
	}
	return body, nil
}
