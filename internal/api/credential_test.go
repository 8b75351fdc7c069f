package api_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api"
)

// asked counts what is asked of a store for credentials. It has any session whose
// cookie is "open".
type asked struct {
	fakeStore
	times int
}

func (s *asked) Key(ctx context.Context, id string) (gabion.Key, error) {
	s.times++
	return s.fakeStore.Key(ctx, id)
}

func (s *asked) Session(_ context.Context, hash [32]byte) (gabion.Session, error) {
	s.times++
	if hash != sha256.Sum256([]byte("open")) {
		return gabion.Session{}, gabion.NotFound("session", "")
	}
	return gabion.Session{Hash: hash, Key: key, Expires: time.Now().Add(time.Hour)}, nil
}

func (s *asked) Organization(context.Context, string) (gabion.Organization, error) {
	return gabion.Organization{ID: org, Name: "acme"}, nil
}

// browsing is a request with a session's cookie.
func browsing(cookie string) *http.Request {
	r := httptest.NewRequest("GET", "/v2/session", nil)
	r.AddCookie(&http.Cookie{Name: "__Host-gabion", Value: cookie})
	return r
}

// TestWhoGuessesDoesNotReachTheStore gets it wrong more often than an address may, and
// holds that nothing is looked up for that any more; and that this keeps nobody out
// whom the server has let in before.
func TestWhoGuessesDoesNotReachTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &asked{}
		h := api.New(api.Config{Store: s, Metrics: api.NewMetrics(), RateLimit: 1000, Log: slog.New(slog.DiscardHandler)})
		good := func() *http.Request { return signed("GET", "/session", "", time.Now().Add(time.Minute)) }
		status := func(r *http.Request, from string) int {
			r.RemoteAddr = from + ":1"
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code
		}
		unknown := func(n int) *http.Request {
			r := good()
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), key, fmt.Sprintf("EXO%024x", n), 1))
			return r
		}
		wrong := map[string]func(n int) *http.Request{
			"unknown key": unknown,
			"wrong signature": func(int) *http.Request {
				r := good()
				r.Method = "DELETE"
				return r
			},
			"unknown session": func(n int) *http.Request { return browsing(fmt.Sprint(n)) },
			"metrics": func(n int) *http.Request {
				r := httptest.NewRequest("GET", "/metrics", nil)
				r.SetBasicAuth(key, fmt.Sprint(n))
				return r
			},
		}
		const guesser, elsewhere = "192.0.2.1", "192.0.2.2"
		for n := range 100 {
			if got := status(unknown(n), guesser); got != http.StatusForbidden {
				t.Fatalf("guess %d was answered %d", n, got)
			}
		}
		if s.times != 100 {
			t.Fatalf("100 guesses asked the store %d times", s.times)
		}
		for name, guess := range wrong {
			s.times = 0
			for n := range 100 {
				if got := status(guess(n), guesser); got != http.StatusTooManyRequests {
					t.Fatalf("%s: guess %d too many was answered %d", name, n, got)
				}
			}
			if s.times != 0 {
				t.Errorf("%s: the store was asked %d times", name, s.times)
			}
		}
		if got := status(good(), guesser); got != http.StatusTooManyRequests {
			t.Errorf("a key that was never seen was answered %d", got)
		}
		for _, from := range []string{elsewhere, guesser} {
			if a, b := status(good(), from), status(browsing("open"), from); a != http.StatusOK || b != http.StatusOK {
				t.Errorf("from %s a key was answered %d, a session %d", from, a, b)
			}
		}
		s.times = 0
		for name, guess := range wrong {
			if got := status(guess(0), guesser); got != http.StatusTooManyRequests || s.times != 0 {
				t.Errorf("%s, with a key that was seen: answered %d, the store asked %d times", name, got, s.times)
			}
		}
		time.Sleep(time.Second)
		if got := status(unknown(1), guesser); got != http.StatusForbidden || s.times != 1 {
			t.Errorf("a second later a guess was answered %d, and the store asked %d times", got, s.times)
		}
	})
}
