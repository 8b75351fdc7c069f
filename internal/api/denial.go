package api

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/gabion/gabion"
)

const (
	// gathering is for how long the same denial again is counted, not written.
	gathering = time.Minute

	// maxGathered is how many kinds of denials are told apart at a time; what comes
	// beyond counts together, log by log.
	maxGathered = 1024
)

// denials writes what was not let be done into the audit logs: the first at once,
// what follows of the same kind as one record a minute. Nobody fills the store by
// being refused.
type denials struct {
	write func(gabion.AuditEntry)

	mu       sync.Mutex
	gathered map[denial]*gabion.AuditEntry // the last one, with how many came after the first
}

// denial is what makes two denials the same.
type denial struct{ log, key, remote, action string }

func newDenials(write func(gabion.AuditEntry)) *denials {
	return &denials{write: write, gathered: map[denial]*gabion.AuditEntry{}}
}

func (d *denials) add(e gabion.AuditEntry) {
	e.Denied, e.Count = true, 1
	if d.first(e) {
		d.write(e)
	}
}

// first tells whether it is the first of its kind; another is counted.
func (d *denials) first(e gabion.AuditEntry) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	kind := denial{e.Log, e.Key, e.Remote, e.Action}
	if d.gathered[kind] == nil && len(d.gathered) >= maxGathered {
		kind = denial{log: e.Log}
		e.Key, e.KeyName, e.Remote, e.Subject = "", "", "", ""
	}
	if last := d.gathered[kind]; last != nil {
		e.Count = last.Count + 1
		*last = e
		return false
	}
	told := e
	told.Count = 0
	d.gathered[kind] = &told
	time.AfterFunc(gathering, func() { d.end(kind) })
	return true
}

// end writes what came after the first of that kind, if anything did.
func (d *denials) end(kind denial) {
	d.mu.Lock()
	last := d.gathered[kind]
	delete(d.gathered, kind)
	d.mu.Unlock()
	if last.Count > 0 {
		d.write(*last)
	}
}

// deny records that the request was refused.
func (a *api) deny(r *http.Request, key gabion.Key, err error) {
	e := gabion.AuditEntry{
		Time: time.Now().UTC(), Log: key.Organization, Request: requestID(r.Context()),
		Key: key.ID, KeyName: key.Name, Remote: remote(r).String(),
		Action: a.operationOf(r), Subject: subjectOf(r), Message: shorten(err.Error()),
	}
	if e.Log == "" {
		e.Log = gabion.InstallationLog
	}
	if e.Action == "" {
		e.Action = "unknown"
	}
	a.denials.add(e)
}

// maxMessage is how long a denial's message may be: parts of it are whatever was sent.
const maxMessage = 300

func shorten(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	return strings.ToValidUTF8(s[:maxMessage], "") + "…"
}

// subjectOf is what the request is about, as far as its path says; empty before it was routed.
func subjectOf(r *http.Request) string {
	for _, name := range []string{"id", "name", "key"} {
		if value := chi.URLParam(r, name); value != "" {
			return value
		}
	}
	return ""
}

// writeDenial stores a denial. That it can't is no reason to answer otherwise.
func (a *api) writeDenial(e gabion.AuditEntry) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if err := a.Store.Deny(ctx, e); err != nil {
		a.Log.Warn("denial not recorded", "action", e.Action, "key", e.Key, "error", err)
	}
}
