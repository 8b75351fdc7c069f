package store_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/store"
)

// kills is how often the writer is killed: a few times at each test, hundreds in the long proof.
var kills = flag.Int("kills", 6, "how often TestAcknowledgedWritesSurviveKill kills the writer")

// runWriter makes groups with rules until it is killed. It prints each that was
// acknowledged.
func runWriter(dir string) {
	ctx := context.Background()
	check := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	log := slog.New(slog.DiscardHandler)
	e, err := store.StartEmbedded(dir, log)
	check(err)
	sealer, err := store.LoadSealer(filepath.Join(dir, "secret.key"))
	check(err)
	s, err := store.Connect(ctx, store.Config{Endpoints: []string{e.Endpoint()}, Sealer: sealer, Log: log})
	check(err)
	org, _, err := s.Bootstrap(ctx)
	check(err)
	for n := 0; ; n++ {
		op, err := s.CreateGroup(ctx, gabion.Group{Organization: org, Name: fmt.Sprint(os.Getpid(), "-", n)})
		check(err)
		fmt.Println("group", op.Subject)
		_, err = s.AddRules(ctx, org, op.Subject, []gabion.Rule{port(22, op.Subject), port(80, "0.0.0.0/0")})
		check(err)
		fmt.Println("rules", op.Subject)
	}
}

func TestAcknowledgedWritesSurviveKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acknowledged := map[string][]string{}
	for range *kills {
		killedWriter(t, dir, acknowledged)
	}
	w := openAt(t, dir)
	for _, id := range acknowledged["group"] {
		if _, err := w.Group(t.Context(), w.org, id); err != nil {
			t.Errorf("acknowledged group: %v", err)
		}
	}
	for _, id := range acknowledged["rules"] {
		if rules, err := w.GroupRules(t.Context(), w.org, id); err != nil || len(rules) != 2 {
			t.Errorf("acknowledged rules of group %s: %v, %v", id, rules, err)
		}
	}
	w.audit()
	told := map[string]bool{} // by action and subject
	for _, r := range w.records(w.org) {
		told[r.Action+" "+r.Subject] = true
	}
	for kind, action := range map[string]string{"group": "create-security-group", "rules": "add-rules-to-security-group"} {
		for _, id := range acknowledged[kind] {
			if !told[action+" "+id] {
				t.Errorf("the audit log lacks the acknowledged %s %s", action, id)
			}
		}
	}
	t.Logf("%d kills, %d groups and %d times rules acknowledged", *kills, len(acknowledged["group"]), len(acknowledged["rules"]))
	if len(acknowledged["rules"]) == 0 {
		t.Error("nothing was written")
	}
}

// killedWriter runs a writer, kills it at a random moment after its first
// acknowledgment, and notes all that it had acknowledged.
func killedWriter(t *testing.T, dir string, acknowledged map[string][]string) {
	t.Helper()
	cmd, lines := spawn(t, "GABION_TEST_WRITER", dir)
	armed := false
	for lines.Scan() {
		kind, id, _ := strings.Cut(lines.Text(), " ")
		if kind == "error" {
			t.Error(id)
		}
		acknowledged[kind] = append(acknowledged[kind], id)
		if !armed {
			armed = true
			time.AfterFunc(rand.N(200*time.Millisecond), func() { _ = cmd.Process.Kill() })
		}
	}
	kill(cmd)
}
