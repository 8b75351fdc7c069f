package api_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api"
	"github.com/gabion/gabion/test/contract"
)

const (
	key    = "EXO0123456789abcdef01234567"
	secret = "not-a-secret"
	org    = "0b5cd1a3-57d0-4b1a-8a25-3ad9a6e3a1d0"
	id     = "5a9a3c5e-7c0e-4f3c-9a4c-0c8f2f0f1a11"
	opID   = "c19542b7-d269-4bd4-bf7c-2cae36d066d3"
)

// fakeStore does what its fields say, for what a real store does only when it
// fails. What has no field here must not be called.
type fakeStore struct {
	api.Store
	operator    bool
	createGroup func(gabion.Group) (gabion.Operation, error)
	groups      func() ([]gabion.Group, error)
	groupRules  func() ([]gabion.Rule, error)
	addRules    func([]gabion.Rule) (gabion.Operation, error)
	deleteRule  func() (gabion.Operation, error)
	operation   func() (gabion.Operation, error)
	finish      func(gabion.Operation) error
}

func (f *fakeStore) Key(_ context.Context, id string) (gabion.Key, error) {
	if id != key {
		return gabion.Key{}, gabion.NotFound("API key", id)
	}
	return gabion.Key{ID: key, Secret: secret, Organization: org, Operator: f.operator, Scopes: []gabion.Scope{gabion.ScopeAdmin}}, nil
}

func (f *fakeStore) TouchKey(context.Context, string, time.Time) error { return nil }

func (f *fakeStore) Deny(context.Context, gabion.AuditEntry) error { return nil }

func (f *fakeStore) CreateGroup(_ context.Context, g gabion.Group) (gabion.Operation, error) {
	return f.createGroup(g)
}

func (f *fakeStore) Groups(context.Context, string) ([]gabion.Group, error) { return f.groups() }

func (f *fakeStore) Rules(context.Context, string) ([]gabion.Rule, error) { return nil, nil }

func (f *fakeStore) GroupRules(context.Context, string, string) ([]gabion.Rule, error) {
	return f.groupRules()
}

func (f *fakeStore) AddRules(_ context.Context, _, _ string, rules []gabion.Rule) (gabion.Operation, error) {
	return f.addRules(rules)
}

func (f *fakeStore) DeleteRule(context.Context, string, string, string) (gabion.Operation, error) {
	return f.deleteRule()
}

func (f *fakeStore) Operation(context.Context, string, string) (gabion.Operation, error) {
	return f.operation()
}

func (f *fakeStore) FinishOperation(_ context.Context, op gabion.Operation) error {
	return f.finish(op)
}

// awaiting is an Enforcement that misses these hosts.
type awaiting []string

func (a awaiting) Await(context.Context, int64) []string { return a }

func (a awaiting) Problem(string) string { return "" }

func (a awaiting) Revision() int64 { return 1 }

func (a awaiting) Current(host string) bool { return !slices.Contains(a, host) }

func (a awaiting) Enforced(int64) (hosts, waiting int, took time.Duration, known bool) {
	return len(a), len(a), 0, len(a) > 0
}

func newHandler(t *testing.T, store api.Store, missing ...string) http.Handler {
	t.Helper()
	return newHandlerThatLogs(t, store, io.Discard, missing...)
}

func newHandlerThatLogs(t *testing.T, store api.Store, log io.Writer, missing ...string) http.Handler {
	t.Helper()
	return api.New(api.Config{
		Store: store, Enforcement: awaiting(missing), Receipts: awaiting(missing), Metrics: api.NewMetrics(), Zone: "ch-gva-2",
		Ready: func(context.Context) error { return nil },
		Log:   slog.New(slog.NewTextHandler(log, nil)),
	})
}

// answer is what a handler said.
type answer struct {
	status                  int
	state, message, problem string
	header                  http.Header
}

// ask sends a signed request, and holds the answer against the contract.
func ask(t *testing.T, h http.Handler, method, route, body string) answer {
	t.Helper()
	return askAt(t, h, method, route, body, time.Now().Add(5*time.Minute))
}

func askAt(t *testing.T, h http.Handler, method, route, body string, expires time.Time) answer {
	t.Helper()
	r := signed(method, route, body, expires)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if err := contract.Check(r, w.Result(), w.Body.Bytes()); err != nil {
		t.Errorf("%s %s was answered %d %s: %v", method, route, w.Code, w.Body, err)
	}
	var said struct{ State, Message, Detail string }
	if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil {
		t.Fatalf("%s %s was answered %d %s: %v", method, route, w.Code, w.Body, err)
	}
	return answer{status: w.Code, state: said.State, message: said.Message, problem: said.Detail, header: w.Header()}
}

// signed is a request with the key's signature.
func signed(method, route, body string, expires time.Time) *http.Request {
	r := httptest.NewRequest(method, "/v2"+route, strings.NewReader(body))
	mac := hmac.New(sha256.New, []byte(secret))
	query := r.URL.Query()
	names := slices.Sorted(maps.Keys(query))
	fmt.Fprintf(mac, "%s %s\n%s\n", method, r.URL.Path, body)
	for _, name := range names {
		fmt.Fprint(mac, query.Get(name))
	}
	fmt.Fprintf(mac, "\n\n%d", expires.Unix())
	r.Header.Set("Authorization", fmt.Sprintf("EXO2-HMAC-SHA256 credential=%s,signed-query-args=%s,expires=%d,signature=%s",
		key, strings.Join(names, ";"), expires.Unix(), base64.StdEncoding.EncodeToString(mac.Sum(nil))))
	return r
}

// made is the operation of a change that was just made.
func made() gabion.Operation {
	return gabion.Operation{
		ID: opID, Organization: org, State: gabion.OperationPending, Revision: 7,
		Command: "create-security-group", Kind: "security-group", Subject: id,
	}
}
