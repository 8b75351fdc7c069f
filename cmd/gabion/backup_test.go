package main

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gabion/gabion/internal/server"
)

// serve runs a server on a data directory until stop is called.
func serve(t *testing.T, dir string) (environment map[string]string, stop func()) {
	t.Helper()
	s, err := server.New(context.Background(), server.Config{
		DataDir: dir, Listen: "127.0.0.1:0", AgentListen: "127.0.0.1:0", Zone: "ch-gva-2", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return readEnv(t, filepath.Join(dir, "admin.env")), func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("server: %v", err)
		}
	}
}

func TestBackupAndRestore(t *testing.T) {
	dir, fresh, file := t.TempDir(), filepath.Join(t.TempDir(), "new"), filepath.Join(t.TempDir(), "backup.tar")
	environment, stop := serve(t, dir)
	play(t, environment, []step{
		{"group create web", 0, "created"},
		{"rule add web --template ssh", 0, "added"},
		{"backup --data-dir " + dir + " " + file, 0, "backed up to " + file},
		{"rule delete web 22", 1, ""}, // no such id: the rule stays
		{"group create later", 0, "created"},
		{"restore --data-dir " + dir + " " + file, 1, dir + " is not empty"},
	})
	stop()
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("the backup is %v, %v", info, err)
	}
	play(t, nil, []step{
		{"backup --data-dir " + dir + " " + file + ".offline", 0, "backed up"},
		{"restore --data-dir " + fresh + " " + file, 0, "restored to " + fresh},
		{"restore --data-dir " + fresh + " " + file, 1, "is not empty"},
	})
	restored, stop := serve(t, fresh)
	defer stop()
	if restored["EXOSCALE_API_KEY"] != environment["EXOSCALE_API_KEY"] || restored["EXOSCALE_API_SECRET"] != environment["EXOSCALE_API_SECRET"] {
		t.Error("the operator's key is another one")
	}
	play(t, restored, []step{
		{"rule list web", 0, "tcp 22"},
		{"group show later", 1, "no group"},
		{"group create later", 0, "created"},
		{"audit verify", 0, "unbroken since"},
		{"audit list --installation", 0, "renew-store-epoch"},
	})
}

func TestBackupThatIsOfNoUse(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "backup.tar")
	_, stop := serve(t, dir)
	stop()
	play(t, nil, []step{{"backup --data-dir " + dir + " " + file, 0, "backed up"}})
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		spoil func(data string) string
		says  string
	}{
		"nothing":     {func(string) string { return "" }, "it is not a backup"},
		"text":        {func(string) string { return strings.Repeat("text ", 1000) }, "it is not a backup"},
		"truncated":   {func(s string) string { return s[:len(s)-3000] }, "older backup"},
		"half":        {func(s string) string { return s[:len(s)/2] }, "unexpected EOF"},
		"a bit":       {func(s string) string { return s[:len(s)/2] + "\x5a\xa5" + s[len(s)/2+2:] }, "its checksum differs"},
		"newer data":  {func(s string) string { return strings.Replace(s, `"schema": 2`, `"schema": 3`, 1) }, "restore it with the release that made it"},
		"newer tar":   {func(s string) string { return strings.Replace(s, `"format": 1`, `"format": 2`, 1) }, "restore it with the release that made it"},
		"other files": {func(s string) string { return strings.Replace(s, `"name": "ca.pem"`, `"name": "../x.y"`, 1) }, `it lists "../x.y"`},
	} {
		t.Run(name, func(t *testing.T) {
			fresh := filepath.Join(t.TempDir(), "new")
			bad := filepath.Join(t.TempDir(), "bad.tar")
			if err := os.WriteFile(bad, []byte(tt.spoil(string(good))), 0o600); err != nil {
				t.Fatal(err)
			}
			got := runWith(nil, "restore", "--data-dir", fresh, bad)
			if got.code != 1 || !strings.Contains(got.stderr, tt.says) {
				t.Errorf("exit %d, %s", got.code, got.stderr)
			}
			if left, err := os.ReadDir(fresh); err != nil || len(left) > 0 {
				t.Errorf("it left %v, %v", left, err)
			}
		})
	}
	play(t, nil, []step{
		{"backup --data-dir " + filepath.Join(t.TempDir(), "none") + " " + file, 1, "holds no store of its own"},
		{"restore --data-dir " + t.TempDir() + "/x /nowhere", 1, "no such file"},
		{"backup " + file, 2, "--data-dir is missing"},
	})
}

func TestOperatorWithoutKeysComesBack(t *testing.T) {
	dir := t.TempDir()
	environment, stop := serve(t, dir)
	play(t, environment, []step{
		{"key create second --scope admin --operator", 0, "export"},
		{"key delete " + environment["EXOSCALE_API_KEY"], 0, "revoked"},
		{"group list", 1, ""},
	})
	// Beside the running server, and without it.
	for _, stopped := range []bool{false, true} {
		if stopped {
			stop()
		}
		got := runWith(nil, "recover-key", "--data-dir", dir)
		if got.code != 0 {
			t.Fatalf("recover-key: %s", got.stderr)
		}
		env := filepath.Join(t.TempDir(), "operator.env")
		if err := os.WriteFile(env, []byte(got.stdout), 0o600); err != nil {
			t.Fatal(err)
		}
		maps.Copy(environment, readEnv(t, env))
		if !stopped {
			play(t, environment, []step{{"group list", 0, "default"}, {"audit list", 0, "recover-operator-key"}})
		}
	}
	again, stop := serve(t, dir)
	defer stop()
	if again["EXOSCALE_API_KEY"] != environment["EXOSCALE_API_KEY"] {
		t.Error("admin.env is not about the recovered key")
	}
	play(t, again, []step{{"host list", 0, "No hosts"}})
	play(t, nil, []step{{"recover-key --data-dir " + t.TempDir(), 1, "secret is not there"}, {"renew-epoch --data-dir " + dir, 0, "new epoch"}})
}

// A server whose admin.env would be about a key that is gone writes none.
func TestNoEmptyCredentialsAreWritten(t *testing.T) {
	dir := t.TempDir()
	environment, stop := serve(t, dir)
	play(t, environment, []step{
		{"key create second --scope admin --operator", 0, "export"},
		{"key delete " + environment["EXOSCALE_API_KEY"], 0, "revoked"},
	})
	stop()
	file := filepath.Join(dir, "admin.env")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	s, err := server.New(context.Background(), server.Config{
		DataDir: dir, Listen: "127.0.0.1:0", AgentListen: "127.0.0.1:0", Zone: "ch-gva-2", Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file); err == nil || !strings.Contains(log.String(), "gabion recover-key --data-dir") {
		t.Errorf("admin.env is there (%v), or the log does not say what to do: %s", err, log.String())
	}
}

func TestStolenAuthorityIsReplaced(t *testing.T) {
	dir := t.TempDir()
	environment, stop := serve(t, dir)
	play(t, environment, []step{{"drop-authority --data-dir " + dir, 1, "stop it first"}})
	stop()
	before, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	play(t, nil, []step{{"drop-authority --data-dir " + dir, 0, "the authority is gone"}})
	again, stop := serve(t, dir)
	defer stop()
	if after, err := os.ReadFile(filepath.Join(dir, "ca.pem")); err != nil || string(after) == string(before) {
		t.Errorf("the authority is the same one: %v", err)
	}
	play(t, again, []step{{"audit list --installation", 0, "drop-authority"}})
}
