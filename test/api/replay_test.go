package api_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gabion/gabion/internal/server"
)

func TestReplayGetsTheFirstAnswer(t *testing.T) {
	r := start(t)
	at := time.Now().Add(5 * time.Minute).Unix()
	fixed := func(s *signing) { s.expires = at }

	const body = `{"name":"web"}`
	first := r.ask(t, "POST", "/security-group", body, fixed)
	again := r.ask(t, "POST", "/security-group", body, fixed)
	if first.status != 200 || again.status != 200 || again.text != first.text {
		t.Fatalf("the same change twice: got %d %s, then %d %s", first.status, first.text, again.status, again.text)
	}
	if a := r.ask(t, "POST", "/security-group", body, func(s *signing) { s.expires = at + 1 }); a.status != 409 {
		t.Errorf("the same change under another signature: got %d %s", a.status, a.text)
	}

	// Whoever sends an old change again after it was taken back changes nothing.
	id := first.body["reference"].(map[string]any)["id"].(string)
	if a := r.say(t, "DELETE", "/security-group/"+id, ""); a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.text)
	}
	if a := r.ask(t, "POST", "/security-group", body, fixed); a.text != first.text {
		t.Errorf("a replay after the deletion: got %d %s", a.status, a.text)
	}
	if a := r.say(t, "GET", "/security-group", ""); strings.Contains(a.text, `"web"`) {
		t.Errorf("the replay made the group again: %s", a.text)
	}
}

func TestReplayAfterARestart(t *testing.T) {
	dir, at := t.TempDir(), time.Now().Add(5*time.Minute).Unix()
	fixed := func(s *signing) { s.expires = at }
	var first answer
	for _, name := range []string{"before", "after"} {
		t.Run(name, func(t *testing.T) {
			r := startAs(t, func(c *server.Config) { c.DataDir = dir })
			a := r.ask(t, "POST", "/security-group", `{"name":"web"}`, fixed)
			if first.text == "" {
				first = a
			}
			if a.status != 200 || a.text != first.text {
				t.Errorf("got %d %s, want %s", a.status, a.text, first.text)
			}
		})
	}
}

func TestTheSameChangeTwiceOnPurpose(t *testing.T) {
	r := start(t)
	const body = `{"name":"web"}`
	first := r.say(t, "POST", "/security-group?nonce=1", body)
	if again := r.say(t, "POST", "/security-group?nonce=2", body); first.status != 200 || again.status != 409 {
		t.Errorf("with another nonce: got %d %s, then %d %s", first.status, first.text, again.status, again.text)
	}
}

func TestRefusedChangeMayBeTriedAgain(t *testing.T) {
	r := start(t)
	at := time.Now().Add(5 * time.Minute).Unix()
	fixed := func(s *signing) { s.expires = at }
	first, second := r.createGroup(t, "first"), r.createGroup(t, "second")
	route := "/security-group/" + second
	naming := `{"flow-direction":"ingress","protocol":"tcp","security-group":{"id":"` + second + `"}}`
	if a := r.say(t, "POST", "/security-group/"+first+"/rules", naming); a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.text)
	}
	if a := r.ask(t, "DELETE", route, "", fixed); a.status != 409 {
		t.Fatalf("got %d %s", a.status, a.text)
	}
	if a := r.say(t, "DELETE", "/security-group/"+first, ""); a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.text)
	}
	if a := r.ask(t, "DELETE", route, "", fixed); a.status != 200 {
		t.Errorf("once nothing refuses it any more: got %d %s", a.status, a.text)
	}
}

func TestConcurrentReplaysAreOneChange(t *testing.T) {
	r := start(t)
	at := time.Now().Add(5 * time.Minute).Unix()
	const askers = 20
	answers := make([]answer, askers)
	var group sync.WaitGroup
	for i := range answers {
		group.Go(func() {
			answers[i] = r.ask(t, "POST", "/security-group", `{"name":"web"}`, func(s *signing) { s.expires = at })
		})
	}
	group.Wait()
	for i, a := range answers {
		if a.status != 200 || a.text != answers[0].text {
			t.Errorf("answer %d: got %d %s, want %s", i, a.status, a.text, answers[0].text)
		}
	}
}
