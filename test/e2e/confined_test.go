package e2e_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gabion/gabion/client/rest"
)

// nobody is a user that owns nothing.
const nobody = 65534

// confine makes the site's gabion one that runs as the units of packaging say: the
// server as its own user without a capability, the agent as root with those of its
// unit and no other.
func (s *site) confine(t *testing.T) {
	t.Helper()
	dir := s.lab.Dir()
	state := filepath.Join(dir, "server")
	for _, step := range []func() error{
		func() error { return os.Mkdir(state, 0o700) },
		func() error { return os.Chown(state, nobody, nobody) },
		func() error { return os.Chmod(dir, 0o711) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	s.program = filepath.Join(dir, "confined")
	script := fmt.Sprintf(`#!/bin/sh
case $1 in
server) echo $$ >>%[1]s/server.pid; exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all --reuid=%[2]d --regid=%[2]d --clear-groups %[3]s "$@" ;;
agent) echo $$ >>%[1]s/agent.pid; exec setpriv --no-new-privs --bounding-set=-all,%[4]s --inh-caps=-all %[3]s "$@" ;;
*) exec %[3]s "$@" ;;
esac
`, dir, nobody, openProgram(t), granted(t))
	if err := os.WriteFile(s.program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
}

// openProgram is gabion where another user may run it.
func openProgram(t *testing.T) string {
	t.Helper()
	if err := os.Chmod(filepath.Dir(program), 0o711); err != nil {
		t.Fatal(err)
	}
	return program
}

// granted are the agent's capabilities in the words of setpriv.
func granted(t *testing.T) string {
	t.Helper()
	var list []string
	for _, name := range capabilities(t) {
		list = append(list, "+"+strings.ToLower(strings.TrimPrefix(name, "CAP_")))
	}
	return strings.Join(list, ",")
}

// capabilities are those that the agent's unit leaves it.
func capabilities(t *testing.T) []string {
	t.Helper()
	unit, err := os.ReadFile("../../packaging/gabion-agent.service")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(unit)) {
		if list, ok := strings.CutPrefix(line, "CapabilityBoundingSet="); ok {
			return strings.Fields(list)
		}
	}
	t.Fatal("the agent's unit bounds no capabilities")
	return nil
}

// effective are the effective capabilities of the processes whose ids are in the file.
func effective(t *testing.T, file string) map[string]bool {
	t.Helper()
	pids, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, pid := range strings.Fields(string(pids)) {
		status, err := os.ReadFile("/proc/" + pid + "/status")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(status)) {
			if set, ok := strings.CutPrefix(line, "CapEff:"); ok {
				all[strings.TrimLeft(strings.TrimSpace(set), "0")] = true
			}
		}
	}
	return all
}

// Everything works with what the units grant: packets are decided, interfaces are
// made, and what was pinned is taken over by the next agent.
func TestWithWhatTheUnitsGrant(t *testing.T) {
	s := newSite(t)
	s.confine(t)
	s.checkOpen(t)
	s.start(t)
	if got := effective(t, filepath.Join(s.lab.Dir(), "server.pid")); !got[""] || len(got) != 1 {
		t.Errorf("the server has the capabilities %v, want none", got)
	}
	// CAP_NET_ADMIN is 12, CAP_SYS_ADMIN 21, CAP_BPF 39.
	if got := effective(t, filepath.Join(s.lab.Dir(), "agent.pid")); !got["8000201000"] || len(got) != 1 {
		t.Errorf("the agents have the capabilities %v, want CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN", got)
	}
	twoRoles(t, s)
	s.checkPredicted(t)
	s.makeTap(t)

	for _, a := range s.agents {
		if err := a.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
		if err := a.AwaitOnline(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.run(t, "rule delete servers "+s.ruleID(t, "servers", webPort))
	s.checkPredicted(t)
	s.run(t, "instance delete made")
}

// makeTap has the agent of h1 make a tap.
func (s *site) makeTap(t *testing.T) {
	t.Helper()
	operation, err := s.client.CreateInstance(t.Context(), rest.CreateInstanceRequest{
		Name: "made", Host: "h1",
		Interfaces: []rest.InterfaceRequest{{Name: "made0", MAC: "02:77:00:00:00:f0", IPv4: []string{"10.77.0.240"}, Managed: true}},
	})
	if err == nil {
		operation, err = s.client.Wait(t.Context(), operation)
	}
	if err != nil || operation.State != rest.OperationStateSuccess {
		t.Fatalf("make a tap: %v, %+v", err, operation)
	}
	err = s.lab.Hosts()[0].Namespace().Do(func() error {
		_, err := net.InterfaceByName("made0")
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// An agent that lacks one of them says which ones it needs, and changes nothing.
func TestAgentWithoutACapability(t *testing.T) {
	s := newSite(t)
	for _, name := range capabilities(t) {
		short := strings.ToLower(strings.TrimPrefix(name, "CAP_"))
		state := filepath.Join(s.lab.Dir(), "without-"+short)
		token := filepath.Join(s.lab.Dir(), "token")
		if err := os.WriteFile(token, []byte("h1."+strings.Repeat("A", 43)+"."+strings.Repeat("a", 64)), 0o600); err != nil {
			t.Fatal(err)
		}
		agent := exec.Command("setpriv", "--bounding-set=-"+short, program, "agent",
			"--server", "127.0.0.1:1", "--state-dir", state, "--token-file", token, "--name", s.lab.Name("none"))
		out, err := agent.CombinedOutput()
		if err == nil || !strings.Contains(string(out), name) {
			t.Errorf("without %s: %v, %q; want it to name what is missing", name, err, out)
		}
		if _, err := os.Stat(state); err == nil {
			t.Errorf("without %s: it left a state directory behind", name)
		}
	}
}
