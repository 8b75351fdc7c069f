package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gabion/gabion"
)

func TestSessionEndsInTimeAndWithItsKey(t *testing.T) {
	t.Parallel()
	w := open(t)
	ctx, at := t.Context(), time.Now().UTC()
	k := w.key(gabion.Key{Organization: w.org, Name: "k"})
	create := func(n byte, expires time.Duration) gabion.Session {
		s := gabion.Session{Hash: [32]byte{n}, Key: k.ID, Created: at, Expires: at.Add(expires)}
		must(t, w.CreateSession(ctx, s))
		return s
	}
	there := func(s gabion.Session, want bool) {
		t.Helper()
		got, err := w.Session(ctx, s.Hash)
		if !want {
			refused(t, err, gabion.CodeNotFound, "sign in")
			return
		}
		must(t, err)
		if diff := cmp.Diff(s, got); diff != "" {
			t.Error(diff)
		}
	}
	long, out, past := create(1, time.Hour), create(2, time.Hour), create(3, -time.Second)
	there(long, true)
	there(out, true)
	there(past, false)
	there(gabion.Session{Hash: [32]byte{9}}, false)
	must(t, w.DeleteSession(ctx, out.Hash))
	must(t, w.DeleteSession(ctx, out.Hash))
	there(out, false)
	there(long, true)

	_, err := w.RotateKey(ctx, w.org, k.ID, time.Now())
	must(t, err)
	there(long, false) // the key has expired

	k = w.key(gabion.Key{Organization: w.org, Name: "k2"})
	again := create(4, time.Hour)
	there(again, true)
	must(t, only(w.DeleteKey(ctx, w.org, k.ID)))
	there(again, false)
	refused(t, w.CreateSession(ctx, again), gabion.CodeNotFound, k.ID)
}

func TestEndedSessionsAreSwept(t *testing.T) {
	t.Parallel()
	w := open(t)
	k := w.key(gabion.Key{Organization: w.org, Name: "k"})
	for n := range 300 {
		end := time.Now().Add(-time.Minute)
		must(t, w.CreateSession(t.Context(), gabion.Session{Hash: [32]byte{byte(n * 89), byte(n)}, Key: k.ID, Expires: end}))
	}
	left := 0
	for key := range w.contents() {
		if strings.HasPrefix(key, "gabion/session/") {
			left++
		}
	}
	if left > 100 {
		t.Errorf("%d of 300 are left", left)
	}
}
