package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
)

// statuses is what each class of errors is in HTTP. What is not in it is ours.
var statuses = map[gabion.Code]int{
	gabion.CodeInvalid:     http.StatusBadRequest,
	gabion.CodeForbidden:   http.StatusForbidden,
	gabion.CodeNotFound:    http.StatusNotFound,
	gabion.CodeConflict:    http.StatusConflict,
	gabion.CodeLimit:       http.StatusForbidden,
	gabion.CodeUnavailable: http.StatusServiceUnavailable,
}

// callerGone is what proxies count those by who did not wait for an answer. Nobody
// gets it.
const callerGone = 499

// refuse answers an error. What the caller may not do is recorded. An error that
// nobody classed is logged, and the caller gets no more of it than the id under
// which the log has it.
func (a *api) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var told *gabion.Error
	if errors.As(err, &told) {
		if status, ok := statuses[told.Code]; ok {
			if c := callerOf(r.Context()); c != nil && told.Code == gabion.CodeForbidden {
				a.deny(r, c.Key, told)
			}
			problem(w, status, told)
			return
		}
	}
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		w.WriteHeader(callerGone)
		return
	}
	a.Log.Error("request failed", "request", requestID(r.Context()), "method", r.Method, "path", r.URL.Path, "error", err)
	problem(w, http.StatusInternalServerError, &gabion.Error{
		Message: "the server failed; its log has the details under request " + requestID(r.Context()),
	})
}

// problem writes the public API's error and RFC 9457's in one.
func problem(w http.ResponseWriter, status int, e *gabion.Error) {
	respond(w, status, openapi.Problem{
		Message: e.Message,
		Title:   http.StatusText(status),
		Detail:  e.Message,
		Status:  status,
		Errors: []openapi.ProblemEntry{{
			Message:  e.Message,
			Detail:   e.Message,
			Location: location(e.Field),
		}},
	})
}

// respond encodes straight into the answer: the largest have tens of megabytes.
func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	out := &encoded{ResponseWriter: w, status: status}
	if err := json.NewEncoder(out).Encode(body); err != nil && !out.begun {
		panic(err) // our own types: a defect
	}
	// Any other error means that the caller has gone.
}

// encoded answers with the status once there is something to say.
type encoded struct {
	http.ResponseWriter
	status int
	begun  bool
}

func (e *encoded) Write(p []byte) (int, error) {
	if !e.begun {
		e.begun = true
		e.WriteHeader(e.status)
	}
	return e.ResponseWriter.Write(p)
}

var fieldParts = regexp.MustCompile(`[^.\[\]]+`)

// location turns interfaces[0].mac into the JSONPath $['interfaces'][0]['mac'].
func location(field string) string {
	if field == "" {
		return ""
	}
	var path strings.Builder
	path.WriteByte('$')
	for _, at := range fieldParts.FindAllStringIndex(field, -1) {
		part := field[at[0]:at[1]]
		if at[0] > 0 && field[at[0]-1] == '[' {
			fmt.Fprintf(&path, "[%s]", part)
		} else {
			fmt.Fprintf(&path, "['%s']", part)
		}
	}
	return path.String()
}

// within says of an error in a part of a request where that part is.
func within(part string, err error) error {
	var told *gabion.Error
	if !errors.As(err, &told) || told.Field == "" {
		return err
	}
	return &gabion.Error{Code: told.Code, Field: part + "." + told.Field, Message: part + "." + told.Message}
}

// unavailable is the error of a server that can't serve now.
func unavailable(err error) *gabion.Error {
	var told *gabion.Error
	if errors.As(err, &told) {
		return told
	}
	return gabion.Unavailable("not ready: %v", err)
}

// parameterError says of the generated code's errors what they mean to the caller.
func parameterError(err error) error {
	var format *openapi.InvalidParamFormatError
	if errors.As(err, &format) {
		return gabion.Invalid(format.ParamName, "can't be read; give one plain value")
	}
	return gabion.Invalid("query", "can't be read: %v", err)
}

func noRoute(w http.ResponseWriter, r *http.Request) {
	problem(w, http.StatusNotFound, gabion.NotFound("path", r.URL.Path))
}

// methods are those that the contract has.
var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete}

func wrongMethod(routes chi.Routes) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		allowed := slices.DeleteFunc(slices.Clone(methods), func(method string) bool {
			return !routes.Match(chi.NewRouteContext(), method, r.URL.EscapedPath())
		})
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		problem(w, http.StatusMethodNotAllowed, &gabion.Error{
			Message: fmt.Sprintf("%s can't be done with %s; use %s", r.Method, r.URL.Path, strings.Join(allowed, " or ")),
		})
	}
}
