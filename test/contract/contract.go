// Package contract holds exchanges over HTTP against api/openapi.yaml, for tests:
// every answer that passes through its Transport is one that the contract knows.
package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/gabion/gabion/api"
)

// Transport passes requests on and hands each answer to Breach that the contract
// does not know.
type Transport struct {
	Next   http.RoundTripper
	Breach func(err error)
}

// RoundTrip makes one exchange.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.Next.RoundTrip(r)
	if err != nil || !strings.HasPrefix(r.URL.Path, "/v2/") || isStream(resp) {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if err := Check(r, resp, body); err != nil {
		t.Breach(fmt.Errorf("%s %s was answered %d %s: %w", r.Method, r.URL.Path, resp.StatusCode, body, err))
	}
	return resp, nil
}

// isStream tells whether the answer goes on until somebody ends it.
func isStream(resp *http.Response) bool {
	return resp.Header.Get("Content-Type") == "text/event-stream"
}

// Operation is one operation of the contract.
type Operation struct {
	*openapi3.Operation
	Method, Path string
	Parameters   openapi3.Parameters // also those of its path
}

// Operations are all operations of the contract, in a stable order.
func Operations() ([]Operation, error) {
	doc, err := document()
	if err != nil {
		return nil, err
	}
	var all []Operation
	for _, path := range doc.Paths.InMatchingOrder() {
		item := doc.Paths.Value(path)
		operations := item.Operations()
		for _, method := range slices.Sorted(maps.Keys(operations)) {
			operation := operations[method]
			all = append(all, Operation{operation, method, path, slices.Concat(item.Parameters, operation.Parameters)})
		}
	}
	return all, nil
}

// Body is the schema of the operation's body; nil if it has none.
func (o Operation) Body() *openapi3.Schema {
	if o.RequestBody == nil {
		return nil
	}
	return o.RequestBody.Value.Content.Get("application/json").Schema.Value
}

// document loads the contract once.
var document = sync.OnceValues(func() (*openapi3.T, error) {
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(api.Contract)
	if err != nil {
		return nil, err
	}
	// Requests come to any address.
	doc.Servers = openapi3.Servers{{URL: "/v2"}}
	return doc, doc.Validate(context.Background())
})

var router = sync.OnceValues(func() (routers.Router, error) {
	doc, err := document()
	if err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

// Check holds one answer against the contract.
func Check(r *http.Request, resp *http.Response, body []byte) error {
	find, err := router()
	if err != nil {
		return err
	}
	route, params, err := find.FindRoute(r)
	if err != nil {
		return checkRefusal(r.Method, resp.StatusCode, body)
	}
	return openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route},
		Status:                 resp.StatusCode,
		Header:                 resp.Header,
		Body:                   io.NopCloser(bytes.NewReader(body)),
		Options:                &openapi3filter.Options{IncludeResponseStatus: true},
	})
}

// CheckRequest tells what the contract has against a request for one of its own
// operations; nil also for what is no route of it.
func CheckRequest(r *http.Request, body string) error {
	find, err := router()
	if err != nil {
		return err
	}
	route, params, err := find.FindRoute(r)
	if err != nil {
		return nil
	}
	asked := r.Clone(r.Context())
	asked.Body = io.NopCloser(strings.NewReader(body))
	asked.Header.Set("Content-Type", "application/json")
	return openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: asked, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	})
}

// checkRefusal holds the answer to what is no route of the contract.
func checkRefusal(method string, status int, body []byte) error {
	if status < 400 || status > 499 {
		return errors.New("this is no route of the contract")
	}
	if method == http.MethodHead {
		return nil // its answers have no bodies
	}
	doc, err := document()
	if err != nil {
		return err
	}
	var problem any
	if err := json.Unmarshal(body, &problem); err != nil {
		return err
	}
	return doc.Components.Schemas["Problem"].Value.VisitJSON(problem)
}
