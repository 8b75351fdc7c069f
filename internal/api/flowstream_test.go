package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/flow"
)

// keyring is a store of one key and one session.
type keyring struct {
	Store
	key     gabion.Key
	session gabion.Session
	signed  bool // in
	away    bool // the store does not answer
}

func (k *keyring) Key(context.Context, string) (gabion.Key, error) {
	switch {
	case k.away:
		return gabion.Key{}, gabion.Unavailable("the store is away")
	case k.key.ID == "":
		return gabion.Key{}, gabion.NotFound("API key", "EXO1")
	}
	return k.key, nil
}

func (k *keyring) Session(context.Context, [32]byte) (gabion.Session, error) {
	switch {
	case k.away:
		return gabion.Session{}, gabion.Unavailable("the store is away")
	case !k.signed:
		return gabion.Session{}, gabion.NotFound("session", "")
	}
	return k.session, nil
}

func (k *keyring) TouchKey(context.Context, string, time.Time) error { return nil }

func (k *keyring) Deny(context.Context, gabion.AuditEntry) error { return nil }

// quiet are flows of which nothing is told.
type quiet struct {
	Flows
	hub *flow.Hub
}

func (q quiet) Watch(f flow.Filter) *flow.Watcher { return q.hub.Watch(f) }
func (quiet) Unwatch(w *flow.Watcher)             { w.Close() }
func (quiet) Elsewhere(flow.Filter) []string      { return nil }

// reader is a response that is read as fast as it is written.
type reader struct{ *httptest.ResponseRecorder }

func (reader) SetWriteDeadline(time.Time) error { return nil }

// opened opens a stream of the browser that is signed in; closed when the server ended it.
func opened(t *testing.T, h http.Handler) (ended chan int) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v2/flow", nil)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.AddCookie(&http.Cookie{Name: cookieName, Value: "cookie"})
	ended = make(chan int, 1)
	go func() {
		w := reader{httptest.NewRecorder()}
		h.ServeHTTP(w, r)
		ended <- w.Code
	}()
	synctest.Wait()
	return ended
}

func newStreaming(k *keyring) http.Handler {
	k.key = gabion.Key{ID: "EXO1", Secret: "s", Organization: "o", Scopes: []gabion.Scope{gabion.ScopeRead}}
	k.session = gabion.Session{Key: "EXO1", Expires: time.Now().Add(sessionLife)}
	k.signed = true
	return New(Config{Store: k, Flows: quiet{hub: flow.NewHub()}, Metrics: NewMetrics(), Log: slog.New(slog.DiscardHandler)})
}

func TestStreamEndsWithWhatItWasOpenedWith(t *testing.T) {
	for name, tt := range map[string]struct {
		happens func(*keyring)
		ends    bool
	}{
		"nothing":                {func(*keyring) {}, false},
		"signed out":             {func(k *keyring) { k.signed = false }, true},
		"session expired":        {func(k *keyring) { k.away = true; time.Sleep(sessionLife) }, true},
		"key deleted":            {func(k *keyring) { k.key = gabion.Key{} }, true},
		"key rotated and ended":  {func(k *keyring) { k.key.Expires = time.Now() }, true},
		"key that ends tomorrow": {func(k *keyring) { k.key.Expires = time.Now().Add(24 * time.Hour) }, false},
		"store away":             {func(k *keyring) { k.away = true }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &keyring{}
				ended := opened(t, newStreaming(k))
				time.Sleep(20 * time.Second)
				if len(ended) > 0 {
					t.Fatalf("the stream ended by itself: %d", <-ended)
				}
				tt.happens(k)
				time.Sleep(breath)
				synctest.Wait()
				if got := len(ended) > 0; got != tt.ends {
					t.Errorf("the stream has ended: %t, want %t", got, tt.ends)
				}
			})
		})
	}
}

func TestStreamsOfAnOrganizationAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keyring{}
		h := newStreaming(k)
		for range maxStreams {
			opened(t, h)
		}
		if code := <-opened(t, h); code != http.StatusTooManyRequests {
			t.Errorf("one more was answered %d, want 429", code)
		}
		k.key.Organization = "other"
		if ended := opened(t, h); len(ended) > 0 {
			t.Errorf("one of another organization was answered %d", <-ended)
		}
		k.signed = false
		time.Sleep(breath)
		synctest.Wait()
		k.key.Organization, k.signed = "o", true
		if ended := opened(t, h); len(ended) > 0 {
			t.Errorf("after all have ended, one was answered %d", <-ended)
		}
	})
}
