package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"github.com/gabion/gabion"
)

// maxBody is how large a request's body may be, in bytes.
const maxBody = 256 << 10

type contextKey int

const (
	requestKey contextKey = iota
	bodyKey
	callerKey
)

// requestID names the request in logs and in answers.
func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey).(string)
	return id
}

// observe gives each request an id, logs it, and turns a panic into an answer
// without details.
func (a *api) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, begin := uuid.NewString(), time.Now()
		r = r.WithContext(context.WithValue(r.Context(), requestKey, id))
		w.Header().Set("X-Request-Id", id)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		seen := &statusWriter{ResponseWriter: w}
		defer func() {
			if cause := recover(); cause != nil {
				a.recovered(seen, r, cause)
			}
			a.Metrics.answered(r, seen.status, time.Since(begin))
			a.Log.Debug("request", "request", id, "method", r.Method, "path", r.URL.Path,
				"status", seen.status, "remote", r.RemoteAddr, "duration", time.Since(begin))
		}()
		next.ServeHTTP(seen, r)
	})
}

// recovered logs a panic, and answers it if nothing was answered yet.
func (a *api) recovered(w *statusWriter, r *http.Request, cause any) {
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(cause) // how a handler gives a connection up
	}
	a.Log.Error("handler panicked", "request", requestID(r.Context()), "path", r.URL.Path,
		"panic", cause, "stack", string(debug.Stack()))
	if w.status == 0 {
		problem(w, http.StatusInternalServerError, &gabion.Error{
			Message: "the server failed; its log has the details under request " + requestID(r.Context()),
		})
	}
}

// statusWriter remembers the status that was answered.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// limitBody reads the whole body, for the signature covers it as it was sent.
func limitBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		var tooLarge *http.MaxBytesError
		switch {
		case errors.As(err, &tooLarge):
			problem(w, http.StatusRequestEntityTooLarge, gabion.Invalid("body", "is larger than %d KiB; send less at once", maxBody>>10))
			return
		case err != nil:
			problem(w, http.StatusBadRequest, gabion.Invalid("body", "ended before it was whole; send it again"))
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), bodyKey, body)))
	})
}

// bodyOf is the request's whole body, as it was sent.
func bodyOf(r *http.Request) []byte {
	body, _ := r.Context().Value(bodyKey).([]byte)
	return body
}

// onlyIDs answers 404 for ids that can't be any object's, before they reach a
// store that makes keys of them.
func onlyIDs(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		params := chi.RouteContext(r.Context()).URLParams
		for i, name := range params.Keys {
			if (name == "id" || name == "rule-id") && !isID(params.Values[i]) {
				problem(w, http.StatusNotFound, gabion.NotFound("object", params.Values[i]))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// isID tells whether s is an id as we write them: a UUID in lower case.
func isID(s string) bool {
	id, err := uuid.Parse(s)
	return err == nil && id.String() == s
}
