package store_test

import (
	"fmt"
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

func TestEmbeddedRefusesANewerSchema(t *testing.T) {
	for found, refused := range map[int]bool{1: false, store.Schema: false, store.Schema + 1: true, 99: true} {
		dir := t.TempDir()
		version := filepath.Join(dir, "etcd", "VERSION")
		must(t, os.Mkdir(filepath.Dir(version), 0o700))
		must(t, os.WriteFile(version, fmt.Appendln(nil, found), 0o600))
		e, err := store.StartEmbedded(dir, slog.Default())
		if refused {
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("schema version \"%d\", which a newer release wrote", found)) {
				t.Errorf("version %d: got %v", found, err)
			}
			continue
		}
		must(t, err)
		must(t, e.Close())
		if now, err := os.ReadFile(version); err != nil || string(now) != fmt.Sprintln(store.Schema) {
			t.Errorf("version %d became %q, %v", found, now, err)
		}
	}
}
