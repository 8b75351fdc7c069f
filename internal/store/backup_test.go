package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/store"
)

// saved is a file with a snapshot of what is in the directory.
func saved(t *testing.T, w *world) string {
	t.Helper()
	m, err := store.OpenMember(w.dir, w.log())
	must(t, err)
	defer func() { must(t, m.Close()) }()
	f, err := os.Create(filepath.Join(t.TempDir(), "snapshot"))
	must(t, err)
	must(t, store.SaveSnapshot(t.Context(), m, f))
	must(t, f.Close())
	return f.Name()
}

// restored is the store that comes out of a snapshot; its secret key is that of w.
func restored(t *testing.T, w *world, snapshot string) *world {
	t.Helper()
	dir := t.TempDir()
	must(t, store.RestoreSnapshot(snapshot, dir))
	secret, err := os.ReadFile(filepath.Join(w.dir, "secret.key"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "secret.key"), secret, 0o600))
	return openAt(t, dir)
}

func TestSnapshotIsRestored(t *testing.T) {
	t.Parallel()
	w := open(t)
	for n := range 50 {
		w.group(fmt.Sprint("g", n))
	}
	session := gabion.Session{Hash: [32]byte{1}, Created: time.Now(), Expires: time.Now().Add(time.Hour)}
	_, key, err := w.Bootstrap(t.Context())
	must(t, err)
	session.Key = key.ID
	must(t, w.CreateSession(t.Context(), session))
	token := gabion.JoinToken{Host: "hv1", Hash: [32]byte{2}, Expires: time.Now().Add(time.Hour)}
	must(t, w.CreateJoinToken(t.Context(), token))
	before, err := w.Snapshot(t.Context())
	must(t, err)
	online := saved(t, w)
	w.group("later")
	must(t, w.Close())
	must(t, w.embedded.Close())
	offline := saved(t, w)

	old := restored(t, w, online)
	now, err := old.Snapshot(t.Context())
	must(t, err)
	if diff := pictureOf(now).diff(pictureOf(before)); diff != "" {
		t.Error(diff)
	}
	if groups, err := restored(t, w, offline).Groups(t.Context(), w.org); err != nil || len(groups) != 52 {
		t.Errorf("%d groups of a snapshot without a server, want 52: %v", len(groups), err)
	}
	_, again, err := old.Bootstrap(t.Context())
	must(t, err)
	if again.Secret != key.Secret || again.ID != key.ID {
		t.Errorf("the operator's key was %+v and is %+v", key, again)
	}
	_, err = old.Session(t.Context(), session.Hash)
	must(t, err)
	must(t, old.RenewEpoch(t.Context()))
	_, err = old.Session(t.Context(), session.Hash)
	refused(t, err, gabion.CodeNotFound)
	refused(t, old.RedeemJoinToken(t.Context(), "hv1", token.Hash, time.Now(), [32]byte{}), gabion.CodeForbidden)
	old.group("later")
}

func TestDamagedSnapshotIsRefused(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.group("web")
	good, err := os.ReadFile(saved(t, w))
	must(t, err)
	for name, spoil := range map[string]func([]byte) []byte{
		"truncated": func(b []byte) []byte { return b[:len(b)-4096] },
		"flipped":   func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"empty":     func([]byte) []byte { return nil },
	} {
		path := filepath.Join(t.TempDir(), "snapshot")
		must(t, os.WriteFile(path, spoil(append([]byte(nil), good...)), 0o600))
		if err := store.RestoreSnapshot(path, t.TempDir()); err == nil {
			t.Errorf("a snapshot that is %s was restored", name)
		}
	}
}

func TestMemberThatIsNotThere(t *testing.T) {
	t.Parallel()
	if _, err := store.OpenMember(t.TempDir(), (&world{t: t}).log()); err == nil || !strings.Contains(err.Error(), "--etcd-endpoints") {
		t.Errorf("got %v", err)
	}
}

func TestStoreIsOfOneInstallation(t *testing.T) {
	t.Parallel()
	w := open(t)
	mine, other := [32]byte{1}, [32]byte{2}
	if owned, err := w.Owned(t.Context()); owned || err != nil {
		t.Errorf("a new store is owned: %t, %v", owned, err)
	}
	for range 2 {
		must(t, w.Own(t.Context(), mine))
	}
	if owned, err := w.Owned(t.Context()); !owned || err != nil {
		t.Errorf("owned: %t, %v", owned, err)
	}
	stranger := connect(t, w.embedded.Endpoint(), t.TempDir(), w.log())
	_, unowned := stranger.Owned(t.Context())
	for _, err := range []error{w.Own(t.Context(), other), stranger.Own(t.Context(), mine), unowned} {
		if err == nil || !strings.Contains(err.Error(), "copy ca.pem, ca.key and secret") {
			t.Errorf("got %v", err)
		}
	}
}

// TestLostKeysAreRecovered deletes the first operator's key, and makes another one
// with nothing but the store, although no quota has room for it.
func TestLostKeysAreRecovered(t *testing.T) {
	t.Parallel()
	w := open(t)
	_, first, err := w.Bootstrap(t.Context())
	must(t, err)
	second, err := w.CreateKey(t.Context(), gabion.Key{
		Organization: w.org, Name: "second", Scopes: []gabion.Scope{gabion.ScopeAdmin}, Operator: true,
	})
	must(t, err)
	must(t, only(w.DeleteKey(t.Context(), w.org, first.ID)))
	if _, key, err := w.Bootstrap(t.Context()); err != nil || key.ID != "" {
		t.Errorf("got key %+v, %v", key, err)
	}
	must(t, only(w.UpdateOrganization(t.Context(), w.org, func(o *gabion.Organization) error {
		o.Quotas.Keys = 1
		return nil
	})))
	third, err := w.RecoverKey(t.Context())
	must(t, err)
	for range 2 {
		_, key, err := w.Bootstrap(t.Context())
		must(t, err)
		if key.ID != third.ID || key.Secret != third.Secret || !key.Operator {
			t.Errorf("got key %+v, want %+v", key, third)
		}
	}
	must(t, only(w.DeleteKey(t.Context(), w.org, second.ID)))
	refused(t, only(w.DeleteKey(t.Context(), w.org, third.ID)), gabion.CodeConflict, "operator")
	records, err := w.Audit(t.Context(), w.org, 0, 100)
	must(t, err)
	if !strings.Contains(fmt.Sprint(records), "recover-operator-key") {
		t.Errorf("the audit log does not tell of it: %+v", records)
	}
}
