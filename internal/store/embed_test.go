package store_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gabion/gabion/internal/store"
)

func TestEmbeddedStartsFastAndStopsClean(t *testing.T) {
	dir := t.TempDir()
	for _, which := range []string{"first", "second"} {
		begin := time.Now()
		e, err := store.StartEmbedded(dir, slog.Default())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s start: %s", which, time.Since(begin))
		begin = time.Now()
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s stop: %s", which, time.Since(begin))
	}
}

func TestEmbeddedRefusesADirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	e, err := store.StartEmbedded(dir, slog.Default())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.StartEmbedded(dir, slog.Default()); err == nil || !strings.Contains(err.Error(), "another server runs") {
		t.Errorf("got %v", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestEmbeddedRefusesAnotherSchema(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "etcd"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "etcd", "VERSION"), []byte("99\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.StartEmbedded(dir, slog.Default()); err == nil || !strings.Contains(err.Error(), `schema version "99"`) {
		t.Errorf("got %v", err)
	}
}
