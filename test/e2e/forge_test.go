package e2e_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gabion/gabion/internal/lab"
	"github.com/gabion/gabion/test/forge"
)

// Forged frames arrive where nothing is filtered, and nowhere else: neither on the
// sender's host nor on another, whatever the rules allow.
func TestForgedFramesArriveNowhere(t *testing.T) {
	s := newSite(t)
	a1 := s.guests["a1"]
	s.checkForged(t, a1, a1.Endpoint, true)
	s.forgetNeighbours(t)
	s.start(t)
	s.openGroup(t)
	s.register(t, "open", "a1", "a2", "b1", "b2")
	s.checkOpen(t)
	s.checkForged(t, a1, a1.Endpoint, false)
	s.checkOpen(t)
}

// neverFromAnInstance are the forgeries that an instance can't send to who is no
// instance. It may send to an address that nobody has: the bridge does not know
// that, and each instance is kept from hearing it.
var neverFromAnInstance = slices.DeleteFunc(slices.Clone(forge.All), func(f forge.Forgery) bool {
	return f.Name == forge.UnknownUnicast.Name
})

// neverForAnInstance are the forgeries that an instance does not get even from
// who is no instance, and so is not kept from sending them.
var neverForAnInstance = slices.Concat(
	[]forge.Forgery{
		forge.VLANTag, forge.PriorityTag, forge.DoubleTag, forge.LLC, forge.OtherEtherType, forge.UnknownUnicast,
		forge.Broadcast, forge.Multicast, forge.RABehindManyHeaders, forge.RAAtomic, forge.RAAtomicBehindOptions,
		forge.RAFirstFragment, forge.RALastFragment,
	},
	forge.Fragments,
)

// Each end of a conversation is filtered by itself: where only one is an instance,
// it neither sends forged frames nor gets them.
func TestForgedFramesAtOneEnd(t *testing.T) {
	s := newSite(t)
	instance, strangers := s.guests["b1"], []*lab.Guest{s.guests["a1"], s.guests["a2"]}
	check := func(seen bool) {
		t.Helper()
		for _, stranger := range strangers {
			checkSeen(t, instance, instance.Endpoint, stranger, seen, neverFromAnInstance...)
			checkSeen(t, stranger, stranger.Endpoint, instance, seen, neverForAnInstance...)
		}
	}
	check(true)
	s.forgetNeighbours(t)
	s.start(t)
	s.openGroup(t)
	s.register(t, "open", "b1")
	s.checkOpen(t)
	check(false)
	s.checkOpen(t)
}

// Frames with VLAN tags come to the programs with the tag in their metadata,
// whatever device they come from: the tests of tagged frames are of what a program
// has to look for there.
func TestTagsComeInMetadata(t *testing.T) {
	s := newSite(t)
	a1, b1 := s.guests["a1"], s.guests["b1"]
	tap, err := a1.Host.AddTap("c1")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []forge.Forgery{forge.VLANTag, forge.PriorityTag, forge.DoubleTag} {
		frame, err := f.Build(a1.Endpoint, b1.Endpoint)
		if err != nil {
			t.Fatal(err)
		}
		checkMetadata(t, a1.Host, a1.Interface, frame, func() error { return a1.Send(frame) })
		checkMetadata(t, a1.Host, tap.Interface, frame, func() error { return tap.Send(frame) })
	}
}

// checkMetadata looks at a tagged frame where the host gets it.
func checkMetadata(t *testing.T, h *lab.Host, link string, frame []byte, send func() error) {
	t.Helper()
	capture, err := h.Capture(link)
	if err != nil {
		t.Fatal(err)
	}
	defer capture.Close()
	if err := send(); err != nil {
		t.Fatal(err)
	}
	isIt := func(f lab.Frame) bool { return f.Tag != 0 && bytes.Equal(f.Wire(), frame) }
	if _, err := capture.Until(t.Context(), isIt); err != nil {
		t.Errorf("frame %x at %s with its tag in metadata: %v", frame[:18], link, err)
	}
}

// checkForged lets the sender forge all frames for victims on the first host and
// on the second.
func (s *site) checkForged(t *testing.T, sender forge.Sender, from *lab.Endpoint, seen bool) {
	t.Helper()
	for _, victim := range []string{"b1", "b2"} {
		checkSeen(t, sender, from, s.guests[victim], seen, forge.All...)
	}
}

// checkSeen tells which frames the victim saw, or did not, against what is wanted.
func checkSeen(t *testing.T, sender forge.Sender, from *lab.Endpoint, victim *lab.Guest, seen bool, frames ...forge.Forgery) {
	t.Helper()
	arrived, err := forge.Seen(t.Context(), sender, from, victim.Endpoint, frames...)
	if err != nil {
		t.Fatal(err)
	}
	want, got := map[string]bool{}, map[string]bool{}
	for i, f := range frames {
		want[f.Name], got[f.Name] = seen, arrived[i]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("forged frames of %s, seen by %s (-want +got):\n%s", from.Name, victim.Name, diff)
	}
}

// forgetNeighbours empties all guests' caches, with what forged frames put there.
func (s *site) forgetNeighbours(t *testing.T) {
	t.Helper()
	for _, g := range s.lab.Guests() {
		if err := g.ForgetNeighbours(); err != nil {
			t.Fatal(err)
		}
	}
}
