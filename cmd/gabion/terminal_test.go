package main

import (
	"strings"
	"testing"
)

// What others wrote (a name, a path that was refused, a message) never acts on the
// terminal of who reads it.
func TestTerminalsObeyNobody(t *testing.T) {
	const escape = `\u001b[2J\u202e\u0007`
	s := newStub(t, map[string]string{
		"GET /audit":          `{"records":[{"sequence":1,"time":"2026-03-01T11:58:00Z","action":"delete-host","subject":"` + escape + `","key-name":"` + escape + `","outcome":"denied"}]}`,
		"GET /security-group": `{"security-groups":[{"id":"5a000000-0000-4000-8000-000000000000","name":"web` + escape + `"}]}`,
		"GET /host":           `403 {"message":"no ` + escape + `"}`,
	})
	for _, args := range []string{"audit list", "group list", "host list", "group show webx"} {
		r := s.gabion(strings.Fields(args)...)
		if said := r.stdout + r.stderr; strings.ContainsAny(said, "\x1b\a\u202e") {
			t.Errorf("%s: %q", args, said)
		} else if args != "group show webx" && !strings.ContainsRune(said, '\ufffd') {
			t.Errorf("%s hides that there was something: %q", args, said)
		}
	}
	if r := s.gabion("group", "list", "-o", "json"); !strings.Contains(r.stdout, `\u001b[2J`) {
		t.Errorf("JSON is not what the API said: %q", r.stdout)
	}
}
