package api

import (
	"net/http"
	"strings"
	"unicode"

	"github.com/go-chi/chi/v5"

	"github.com/gabion/gabion"
)

// deny records that the request was refused. The store bounds what that takes.
func (a *api) deny(r *http.Request, key gabion.Key, err error) {
	e := gabion.AuditEntry{
		Log: key.Organization, Request: requestID(r.Context()),
		Key: key.ID, KeyName: key.Name,
		Action: a.operationOf(r), Subject: shorten(subjectOf(r)), Message: shorten(err.Error()),
	}
	if from := remote(r); from.IsValid() {
		e.Remote = from.String()
	}
	if e.Log == "" {
		e.Log = gabion.InstallationLog
	}
	if e.Action == "" {
		e.Action = "unknown"
	}
	if err := a.Store.Deny(r.Context(), e); err != nil { // no reason to answer otherwise
		a.Log.Warn("denial not recorded", "action", e.Action, "key", e.Key, "error", err)
	}
}

// maxText is how long a text of a denial may be: parts of it are whatever was sent.
const maxText = 300

// shorten makes of what was sent a text that can be stored and shown.
func shorten(s string) string {
	end := ""
	if len(s) > maxText {
		s, end = s[:maxText], "…"
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, strings.ToValidUTF8(s, ""))
	return s + end
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
