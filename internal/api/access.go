package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"

	"github.com/go-chi/chi/v5"

	"github.com/gabion/gabion"
)

// need is what somebody must be allowed to do who asks for an operation.
type need struct {
	anyone   bool         // also without a credential
	operator bool         // besides the scope
	scope    gabion.Scope // of the key; every scope includes reading
}

var (
	forAnyone    = need{anyone: true}
	forReaders   = need{scope: gabion.ScopeRead}
	forRules     = need{scope: gabion.ScopeRules}
	forInstances = need{scope: gabion.ScopeInstances}
	forAdmins    = need{scope: gabion.ScopeAdmin}
	forWatchers  = need{scope: gabion.ScopeRead, operator: true}  // what is above organizations
	forOperators = need{scope: gabion.ScopeAdmin, operator: true} // change that
)

// needs is what each operation of the contract needs. What is not in it is nobody's.
var needs = map[string]need{
	"list-zones":   forAnyone,
	"get-contract": forAnyone,

	"list-security-groups":                       forReaders,
	"create-security-group":                      forRules,
	"get-security-group":                         forReaders,
	"update-security-group":                      forRules,
	"delete-security-group":                      forRules,
	"make-primary-security-group":                forRules,
	"get-security-group-usage":                   forReaders,
	"add-rule-to-security-group":                 forRules,
	"replace-rules-of-security-group":            forRules,
	"add-rules-to-security-group":                forRules,
	"delete-rule-from-security-group":            forRules,
	"add-external-source-to-security-group":      forRules,
	"remove-external-source-from-security-group": forRules,
	"attach-instance-to-security-group":          forInstances,
	"detach-instance-from-security-group":        forInstances,
	"list-security-group-summaries":              forReaders,
	"list-template-rules":                        forReaders,
	"explain-connection":                         forReaders,

	"list-instances":              forReaders,
	"create-instance":             forInstances,
	"get-instance":                forReaders,
	"update-instance":             forInstances,
	"delete-instance":             forInstances,
	"start-instance":              forInstances,
	"stop-instance":               forInstances,
	"reboot-instance":             forInstances,
	"add-instance-protection":     forInstances,
	"remove-instance-protection":  forInstances,
	"list-instance-summaries":     forReaders,
	"list-instance-types":         forReaders,
	"get-instance-type":           forReaders,
	"list-templates":              forReaders,
	"get-template":                forReaders,
	"list-ssh-keys":               forReaders,
	"register-ssh-key":            forInstances,
	"get-ssh-key":                 forReaders,
	"delete-ssh-key":              forInstances,
	"get-reverse-dns-instance":    forReaders,
	"delete-reverse-dns-instance": forInstances,

	"get-operation":       forReaders,
	"list-rule-hits":      forReaders,
	"list-instance-drops": forReaders,
	"stream-flows":        forReaders,
	"list-instance-flows": forReaders,
	"list-receipts":       forReaders,

	"list-hosts":        forWatchers,
	"get-host":          forWatchers,
	"delete-host":       forOperators,
	"create-host-token": forOperators,

	"list-organizations":          forReaders, // of others: only with an operator's key
	"get-organization":            forReaders, // likewise
	"create-organization":         forOperators,
	"update-organization":         forOperators,
	"delete-organization":         forOperators,
	"create-organization-api-key": forOperators,

	"list-api-keys":      forAdmins,
	"create-api-key":     forAdmins,
	"get-api-key":        forAdmins,
	"delete-api-key":     forAdmins,
	"rotate-api-key":     forAdmins,
	"list-quotas":        forReaders,
	"list-audit-records": forAdmins, // of the installation: only with an operator's key

	"get-session":    forReaders,
	"create-session": forAnyone,
	"delete-session": forReaders,
}

// allow lets those through who may do what they ask for. It stands behind the
// routes: here it is known which operation that is.
func (a *api) allow(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		operation := operationIDs()[r.Method+" "+chi.RouteContext(r.Context()).RoutePattern()]
		if err := permit(callerOf(r.Context()), operation); err != nil {
			a.refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// permit tells why the caller may not ask for the operation; nil if it may.
func permit(c *caller, operation string) error {
	need, known := needs[operation]
	switch {
	case !known:
		return gabion.Forbidden("nobody may do that")
	case need.anyone:
		return nil
	case c == nil:
		return errUnsigned
	case need.operator && !c.Operator:
		return gabion.Forbidden("%s is above organizations; use an operator's key", operation)
	case !c.Allows(need.scope):
		return gabion.Forbidden("%s needs the scope %s, which key %s does not have; use a key that has it", operation, need.scope, c.ID)
	}
	return nil
}

// operationIDs are the contract's operations by method and route, such as
// "GET /v2/zone". There are none if the contract can't be read: nobody may do anything.
var operationIDs = sync.OnceValue(func() map[string]string {
	ids := map[string]string{}
	document, err := contractJSON()
	if err != nil {
		return ids
	}
	type operation struct {
		ID string `json:"operationId"`
	}
	var contract struct {
		Paths map[string]struct{ Get, Put, Post, Delete *operation }
	}
	if err := json.Unmarshal(document, &contract); err != nil {
		return ids
	}
	for path, item := range contract.Paths {
		for method, op := range map[string]*operation{"GET": item.Get, "PUT": item.Put, "POST": item.Post, "DELETE": item.Delete} {
			if op != nil {
				ids[method+" "+Base+path] = op.ID
			}
		}
	}
	return ids
})

// operationOf is the operation that the request asks for, also before it was
// routed; empty if there is none such.
func (a *api) operationOf(r *http.Request) string {
	found := chi.NewRouteContext()
	if !a.routes.Match(found, r.Method, routedPath(r)) {
		return ""
	}
	if r.URL.Path == metricsPath {
		return "get-metrics" // which is not in the contract
	}
	return operationIDs()[r.Method+" "+strings.TrimSuffix(found.RoutePattern(), "/")]
}

// routedPath is what routes are found by: the escaped path, if it is escaped in its own way.
func routedPath(r *http.Request) string {
	if r.URL.RawPath != "" {
		return r.URL.RawPath
	}
	return r.URL.Path
}

// isPublic tells whether the request needs no credential.
func (a *api) isPublic(r *http.Request) bool { return needs[a.operationOf(r)].anyone }
