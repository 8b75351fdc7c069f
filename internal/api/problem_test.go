package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gabion/gabion"
)

func TestErrorsHaveOneStatusEach(t *testing.T) {
	tests := []struct {
		err    error
		status int
		shown  bool
	}{
		{gabion.Invalid("name", "is wrong"), 400, true},
		{gabion.Forbidden("not yours"), 403, true},
		{gabion.NotFound("security group", id), 404, true},
		{gabion.Conflict("taken"), 409, true},
		{&gabion.Error{Code: gabion.CodeLimit, Message: "too many groups"}, 403, true},
		{gabion.Unavailable("no leader"), 503, true},
		{errors.New("segment 7 of wal is corrupt"), 500, false},
		{&gabion.Error{Message: "segment 7 of wal is corrupt"}, 500, false},
	}
	for _, tt := range tests {
		store := &fakeStore{createGroup: func(gabion.Group) (gabion.Operation, error) { return gabion.Operation{}, tt.err }}
		a := ask(t, newHandler(t, store), "POST", "/security-group", `{"name":"web"}`)
		if a.status != tt.status || strings.Contains(a.message, tt.err.Error()) != tt.shown {
			t.Errorf("%v: got %+v", tt.err, a)
		}
		if !tt.shown && !strings.Contains(a.message, a.header.Get("X-Request-Id")) {
			t.Errorf("%q does not say under which id the log has it", a.message)
		}
	}
}

func TestCallerThatWentAwayIsNoFailure(t *testing.T) {
	ctx, goAway := context.WithCancel(t.Context())
	gone := false
	store := &fakeStore{groups: func() ([]gabion.Group, error) {
		if gone {
			goAway()
		}
		return nil, fmt.Errorf("read groups: %w", context.Canceled)
	}}
	var log strings.Builder
	h := newHandlerThatLogs(t, store, &log)
	for _, gone = range []bool{false, true} {
		log.Reset()
		r := signed("GET", "/security-group", "", time.Now().Add(time.Minute))
		h.ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
		if failed := strings.Contains(log.String(), "ERROR"); failed == gone {
			t.Errorf("caller gone: %v; the log has %q", gone, log.String())
		}
	}
}

func TestPanicIsAnAnswerWithoutDetails(t *testing.T) {
	store := &fakeStore{groups: func() ([]gabion.Group, error) { panic("index 7 out of range") }}
	store.createGroup = func(gabion.Group) (gabion.Operation, error) { panic("index 7 out of range") }
	h := newHandler(t, store)
	for _, method := range []string{"GET", "POST", "POST"} { // also once more under the same signature
		a := askAt(t, h, method, "/security-group", `{"name":"web"}`, time.Now().Add(time.Minute))
		if a.status != 500 || strings.Contains(a.message, "index") {
			t.Errorf("%s: got %+v", method, a)
		}
	}
}

func TestOutageMayBeTriedAgainUnderOneSignature(t *testing.T) {
	outages := 2
	store := &fakeStore{
		createGroup: func(gabion.Group) (gabion.Operation, error) {
			if outages > 0 {
				outages--
				return gabion.Operation{}, gabion.Unavailable("no leader")
			}
			return made(), nil
		},
		finish: func(gabion.Operation) error { return nil },
	}
	h, expires := newHandler(t, store), time.Now().Add(time.Minute)
	for _, want := range []int{503, 503, 200, 200} {
		if a := askAt(t, h, "POST", "/security-group", `{"name":"web"}`, expires); a.status != want {
			t.Errorf("got %+v, want %d", a, want)
		}
	}
}

func TestHostsAreTheOperators(t *testing.T) {
	for _, route := range []string{"GET /host", "GET /host/hv1", "DELETE /host/hv1", "POST /host-token"} {
		method, path, _ := strings.Cut(route, " ")
		if a := ask(t, newHandler(t, &fakeStore{}), method, path, `{"host":"hv1"}`); a.status != 403 {
			t.Errorf("%s: got %+v", route, a)
		}
	}
}
