package store_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

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

// A change may have megabytes: those that are made must not stay in memory.
func TestEmbeddedForgetsWhatIsStored(t *testing.T) {
	const size, changes, most = 64 << 10, 1200, 32 << 20
	before := heap()
	e, err := store.StartEmbedded(t.TempDir(), slog.Default())
	must(t, err)
	defer e.Close()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{e.Endpoint()}})
	must(t, err)
	defer client.Close()
	for n := range changes {
		_, err := client.Put(t.Context(), "large", strings.Repeat(string(rune('a'+n%26)), size))
		must(t, err)
	}
	if used := heap() - before; used > most {
		t.Errorf("the member holds %d MiB after %d changes of %d KiB", used>>20, changes, size>>10)
	}
}

// heap is how many bytes are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
