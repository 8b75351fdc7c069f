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
	"net/http"
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
	if err != nil || !strings.HasPrefix(r.URL.Path, "/v2/") {
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
		return checkRefusal(resp.StatusCode, body)
	}
	return openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route},
		Status:                 resp.StatusCode,
		Header:                 resp.Header,
		Body:                   io.NopCloser(bytes.NewReader(body)),
		Options:                &openapi3filter.Options{IncludeResponseStatus: true},
	})
}

// checkRefusal holds the answer to what is no route of the contract.
func checkRefusal(status int, body []byte) error {
	if status < 400 || status > 499 {
		return errors.New("this is no route of the contract")
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
