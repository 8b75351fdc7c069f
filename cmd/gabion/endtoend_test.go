package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gabion/gabion/internal/server"
)

// realServer runs a server on a data directory of its own and returns what its
// admin.env sets.
func realServer(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	s, err := server.New(context.Background(), server.Config{
		DataDir: dir, Listen: "127.0.0.1:0", AgentListen: "127.0.0.1:0", Zone: "ch-gva-2", Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("server: %v", err)
		}
	})
	return readEnv(t, filepath.Join(dir, "admin.env"))
}

func readEnv(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	environment := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		environment[name] = strings.Trim(value, "'")
	}
	return environment
}

// step is one command of a session: its exit code, and what its output must hold.
type step struct {
	command string
	code    int
	holds   string
}

// play runs the steps in order; $1 in a command is the first word that the last
// step's output has after "rule ".
func play(t *testing.T, environment map[string]string, steps []step) {
	t.Helper()
	rule := ""
	for _, s := range steps {
		command := strings.ReplaceAll(s.command, "$1", rule)
		got := runWith(environment, strings.Fields(command)...)
		if output := got.stdout + got.stderr; got.code != s.code || !strings.Contains(output, s.holds) {
			t.Fatalf("gabion %s\nexit %d, want %d and %q in:\n%s", command, got.code, s.code, s.holds, output)
		}
		if _, after, found := strings.Cut(got.stdout, "rule "); found {
			rule, _, _ = strings.Cut(after, " ")
		}
	}
}

func TestSessionWithARealServer(t *testing.T) {
	environment := realServer(t)
	t.Run("groups", func(t *testing.T) {
		play(t, environment, []step{
			{"group list", 0, "default (primary)  closed   open"},
			{"group create web --description front", 0, "group web created: ingress closed, egress open"},
			{"group create web", 1, "already"},
			{"group rename web www", 0, "now called www"},
			{"group rename www web", 0, "now called web"},
			{"group show web", 0, "Description  front"},
			{"group make-primary web", 0, "web is primary"},
			{"group usage web", 0, "primary group"},
			{"group delete web", 1, "primary"},
			{"group make-primary default", 0, "default is primary"},
			{"group delete default", 1, "can't be deleted"},
			{"group add-source web 192.0.2.0/24", 0, "counts as a member"},
			{"group show web", 0, "Sources      192.0.2.0/24"},
			{"group add-source web 192.0.2.1/24", 1, "write 192.0.2.0/24"},
			{"group remove-source web 192.0.2.0/24", 0, "no longer counts"},
			{"group delete web", 0, "group web deleted"},
			{"group show web", 1, `no group "web"`},
		})
	})
	t.Run("rules", func(t *testing.T) {
		play(t, environment, []step{
			{"group create app", 0, "created"},
			{"group create db", 0, "created"},
			{"rule add db --template postgresql --from app", 0, "added to db: ingress tcp 5432 from group app; enforced"},
			{"rule add db --template postgresql --from app", 1, "already"},
			{"rule list db", 0, "ingress    tcp 5432  from group app"},
			{"group delete app", 1, "db"},
			{"rule delete db $1", 0, "deleted from db: ingress tcp 5432 from group app; enforced"},
			{"rule delete db $1", 1, "no rule"},
			{"rule add app --protocol tcp --port 80,443 --from 0.0.0.0/0,::/0", 0, "4 rules added to app; enforced"},
			{"rule add app --protocol tcp --port 5432 --to db", 0, "gabion: note: the group's first egress rule"},
			{"rule delete app $1", 0, "gabion: note: the group's last egress rule is gone"},
			{"rule add app --template ping", 0, "icmpv6 echo request from ::/0"},
			{"rule add app --protocol icmp --from ::/0", 1, "write icmpv6"},
			{"rule add app --protocol icmp --icmp-type 300 --from 0.0.0.0/0", 1, "out of range"},
			{"rule templates", 0, "ssh "},
		})
	})
	t.Run("instances", func(t *testing.T) {
		play(t, environment, []step{
			{"instance list", 0, "No instances"},
			{"instance create i1", 0, "instance i1 created in default"},
			{"instance create i2 --group app,db --label role=test", 0, "instance i2 created in app, db"},
			{"instance list", 0, "i2    stopped  -     -          app, db"},
			{"instance show i2", 0, "Labels  role=test"},
			{"instance start i2", 0, "is running"},
			{"instance attach i2 default", 1, "stop it first"},
			{"instance stop i2", 0, "is stopped"},
			{"instance attach i2 default", 0, "belongs to group default; enforced"},
			{"instance detach i2 db", 0, "no longer belongs to group db; enforced"},
			{"instance detach i1 default", 1, "attach another first"},
			{"group delete app", 1, "i2"},
			{"group usage app", 0, "instance  i2    member"},
			{"instance create i3 --host nowhere --interface vnet0 --mac 52:54:00:00:00:01 --ip 10.0.0.1", 1, `no host "nowhere"`},
			{"explain --from i1 --to 198.51.100.1 --protocol tcp --port 22", 1, `"i1" has no addresses`},
			{"instance create i1", 0, "created"},
			{"instance show i1", 1, `"i1" is 2 instances; say which by id`},
			{"instance protect i2", 0, "can't be deleted now"},
			{"instance delete i2", 1, "protect"},
			{"instance unprotect i2", 0, "can be deleted again"},
			{"instance reboot i2", 0, "is running"},
			{"instance update i2", 2, "nothing is to change"},
			{"instance update i2 --name i2b --label role=front", 0, "instance i2 changed"},
			{"instance update i2b --name i2", 0, "changed"},
			{"instance show i2", 0, "Labels  role=front"},
			{"instance delete i2", 0, "instance i2 deleted"},
			{"instance show i2", 1, `no instance "i2"`},
		})
	})
	t.Run("hosts", func(t *testing.T) {
		play(t, environment, []step{
			{"host list", 0, "No hosts"},
			{"host receipts", 0, "No host has an instance of yours"},
			{"host show hv1", 1, `no host "hv1"; gabion host list`},
			{"host token hv1", 0, "hv1."},
			{"host token a/b", 1, "is not a host's name"},
			{"host delete hv9", 1, "not found"},
			{"operation show 0b000000-0000-4000-8000-000000000000", 1, "not found"},
		})
	})
	t.Run("people", func(t *testing.T) {
		play(t, environment, []step{
			{"organization list", 0, "default"},
			{"organization create acme --host hv1 --max-groups 2", 0, "organization acme created"},
			{"organization create acme", 1, "acme"},
			{"organization update acme --max-keys 2", 0, "organization acme changed"},
			{"organization list", 0, "≤ 2"},
			{"organization quotas", 0, "api-key"},
			{"key create boss --scope admin --organization acme", 0, "export EXOSCALE_API_SECRET="},
			{"key create ci --scope rules --expires-in 876000h", 0, "export EXOSCALE_API_KEY=EXO"}, // the test's clock is behind
			{"key create ci2 --scope everything", 1, "is not a scope"},
			{"key rotate ci --overlap 1m", 0, "export EXOSCALE_API_SECRET="},
			{"key list", 0, "rules"},
			{"rule add app --template rdp --from-my-ip", 1, "sees this machine as 127.0.0.1, which is no address that instances see"},
			{"audit list", 0, "create-security-group"},
			{"audit list --installation", 0, "create-organization"},
			{"audit verify", 0, "unbroken since"},
			{"audit verify --installation", 0, "unbroken since"},
			{"audit verify --head 1:abc", 1, "does not hold 1:abc any more"},
			{"organization delete acme", 0, "organization acme deleted"},
		})
	})
	t.Run("files", func(t *testing.T) { appliesWhatItExported(t, environment) })
	t.Run("as JSON", func(t *testing.T) { everythingIsJSON(t, environment) })
	t.Run("with wrong credentials", func(t *testing.T) {
		environment["EXOSCALE_API_SECRET"] = "wrong"
		play(t, environment, []step{{"group list", 1, "signature"}})
		environment["SSL_CERT_FILE"] = ""
		play(t, environment, []step{{"group list", 1, "is not trusted"}})
	})
}

func everythingIsJSON(t *testing.T, environment map[string]string) {
	for _, command := range []string{
		"key list", "organization list", "organization quotas", "audit list",
		"group list", "group show db", "group usage db", "rule list db", "rule templates", "instance list", "host list", "host receipts", "key create json --scope read",
	} {
		got := runWith(environment, append(strings.Fields(command), "-o", "json")...)
		if got.code != 0 || got.stderr != "" || !json.Valid([]byte(got.stdout)) {
			t.Errorf("gabion %s -o json: exit %d, %s%s", command, got.code, got.stdout, got.stderr)
		}
	}
}

// appliesWhatItExported takes a group out, loses a rule of it, and gets it back.
func appliesWhatItExported(t *testing.T, environment map[string]string) {
	file := filepath.Join(t.TempDir(), "app.yaml")
	export := runWith(environment, "group", "export", "app", "db")
	if err := os.WriteFile(file, []byte(export.stdout), 0o600); err != nil || export.code != 0 {
		t.Fatalf("export: %+v, %v", export, err)
	}
	play(t, environment, []step{
		{"apply " + file, 0, "app: nothing to change\ndb: nothing to change"},
		{"rule add app --template rdp --from 192.0.2.0/24", 0, "2 rules added to app"},
		{"apply " + file + " --dry-run", 0, "  - ingress tcp 3389 from 192.0.2.0/24"},
		{"rule list app", 0, "tcp 3389"},
		{"apply " + file, 0, "2 rules deleted; enforced"},
		{"apply " + file, 0, "app: nothing to change"},
	})
	fresh := filepath.Join(t.TempDir(), "fresh.yaml")
	if err := os.WriteFile(fresh, []byte("name: fresh\ningress: [{protocol: tcp, ports: 22, from: 192.0.2.1}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	play(t, environment, []step{
		{"apply " + fresh, 0, "fresh: created\nfresh: 1 rule added, no rules deleted; enforced"},
		{"apply " + fresh, 0, "fresh: nothing to change"}, // although the server keeps 192.0.2.1/32
	})
}
