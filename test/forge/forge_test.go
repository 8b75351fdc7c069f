package forge_test

import (
	"testing"

	"github.com/gabion/gabion/internal/lab"
	"github.com/gabion/gabion/internal/privilege"
	"github.com/gabion/gabion/test/forge"
)

// The positive control of every test that sees none of them: where nothing is
// filtered, each arrives, on the same host and on another.
func TestEverybodySeesThemUnfiltered(t *testing.T) {
	privilege.Require(t)
	l, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	var guests []*lab.Guest
	for _, on := range []string{"h1", "h2"} {
		host, err := l.AddHost(on)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "b"} {
			g, err := host.AddGuest(name + on)
			if err != nil {
				t.Fatal(err)
			}
			guests = append(guests, g)
		}
	}
	for _, victim := range guests[1:] {
		seen, err := forge.Seen(t.Context(), guests[0], guests[0].Endpoint, victim.Endpoint, forge.All...)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range forge.All {
			if !seen[i] {
				t.Errorf("%s: not seen by %s", f.Name, victim.Name)
			}
		}
	}
}
