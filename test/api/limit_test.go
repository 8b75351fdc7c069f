package api_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/gabion/gabion/internal/server"
)

// until asks until the answer has the status, and tells which answer that was.
func until(t *testing.T, status int, most int, ask func() answer) answer {
	t.Helper()
	for range most {
		if a := ask(); a.status == status {
			return a
		}
	}
	t.Fatalf("none of %d answers was %d", most, status)
	return answer{}
}

func holdRetryAfter(t *testing.T, a answer) {
	t.Helper()
	if n, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || n < 1 || a.message() == "" {
		t.Errorf("got %d %s with Retry-After %q", a.status, a.text, a.header.Get("Retry-After"))
	}
}

func TestKeyThatAsksTooFastHasToWait(t *testing.T) {
	r := startAs(t, func(c *server.Config) { c.RateLimit = 1 })
	hasty := r.as(r.newKey(t, "/api-key", `{"name":"hasty","scopes":["rules"]}`))
	answered := 0
	a := until(t, http.StatusTooManyRequests, 200, func() answer {
		answered++
		return hasty.say(t, "POST", "/security-group", fmt.Sprintf(`{"name":"g%d"}`, answered))
	})
	holdRetryAfter(t, a)
	if answered < 5 {
		t.Errorf("it got %d answers, want a burst of 5 at least", answered)
	}
	if a := r.say(t, "GET", "/zone", ""); a.status != http.StatusOK {
		t.Errorf("another key has to wait, too: got %d %s", a.status, a.text)
	}
}

func TestAddressThatSignsWronglyHasToWait(t *testing.T) {
	r := startAs(t, func(c *server.Config) { c.RateLimit = 1000 })
	guesser := r.as(keyPair{r.env["EXOSCALE_API_KEY"], "guessed"})
	a := until(t, http.StatusTooManyRequests, 2000, func() answer { return guesser.say(t, "GET", "/security-group", "") })
	holdRetryAfter(t, a)
	if a := r.say(t, "GET", "/security-group", ""); a.status != http.StatusOK {
		t.Errorf("who signs well from there has to wait, too: got %d %s", a.status, a.text)
	}
}

func TestAddressWhoseSignInsFailHasToWait(t *testing.T) {
	r := startAs(t, func(c *server.Config) { c.RateLimit = 1000 })
	a := until(t, http.StatusTooManyRequests, 200, func() answer {
		a, _ := r.signIn(t, keyPair{r.env["EXOSCALE_API_KEY"], "guessed"})
		return a
	})
	holdRetryAfter(t, a)
	if a, _ := r.signIn(t, r.operator()); a.status != http.StatusOK {
		t.Errorf("who has the secret has to wait, too: got %d %s", a.status, a.text)
	}
}

// TestClientsGetThroughTheUsualLimit asks as the public API's clients do, with the
// limit that a server has when nobody says.
func TestClientsGetThroughTheUsualLimit(t *testing.T) {
	r := startAs(t, func(c *server.Config) { c.RateLimit = 100 })
	begin := time.Now()
	for i := range 200 {
		if a := r.say(t, "GET", "/security-group", ""); a.status != http.StatusOK {
			t.Fatalf("request %d, after %s: got %d %s", i, time.Since(begin), a.status, a.text)
		}
	}
}
