package e2e_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/internal/lab"
	"github.com/gabion/gabion/internal/privilege"
	"github.com/gabion/gabion/test/predict"
)

const (
	webPort    = 80
	gossipPort = 4321
)

// program is the gabion that the tests run.
var program string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	if os.Geteuid() != 0 || os.Getenv(asking) != "" {
		return m.Run() // every test says that it needs root, and a question needs no gabion
	}
	dir, err := os.MkdirTemp("", "gabion-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "gabion")
	build := exec.Command("go", "build", "-o", program, "../../cmd/gabion")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build gabion: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// site is a lab with Gabion in it.
type site struct {
	lab     *lab.Lab
	program string // gabion, as this site runs it
	server  *lab.Server
	client  *client.Client
	agents  map[string]*lab.Agent // by host
	guests  map[string]*lab.Guest
}

// newSite builds hosts h1 and h2 with two guests each, all of which serve: a1 and
// b1, a2 and b2. Nothing is filtered.
func newSite(t *testing.T) *site {
	t.Helper()
	privilege.Require(t)
	t.Parallel() // sites don't know of each other, and mostly wait
	l, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{lab: l, program: program, agents: map[string]*lab.Agent{}, guests: map[string]*lab.Guest{}}
	t.Cleanup(func() { s.close(t) })
	for _, on := range []string{"1", "2"} {
		host, err := l.AddHost("h" + on)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a" + on, "b" + on} {
			if s.guests[name], err = host.AddGuest(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, e := range l.Endpoints() {
		if err := e.Serve([]uint16{webPort}, []uint16{gossipPort}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *site) close(t *testing.T) {
	if t.Failed() {
		s.showLogs(t)
	}
	if err := s.lab.Close(); err != nil {
		t.Error(err)
	}
}

func (s *site) showLogs(t *testing.T) {
	logs, _ := filepath.Glob(filepath.Join(s.lab.Dir(), "*.log"))
	for _, log := range logs {
		text, err := os.ReadFile(log)
		t.Logf("%s (%v):\n%s", filepath.Base(log), err, text)
	}
}

// start starts the server and an agent on each host.
func (s *site) start(t *testing.T, serverArgs ...string) {
	t.Helper()
	var err error
	if s.server, err = s.lab.StartServer(t.Context(), s.program, serverArgs...); err != nil {
		t.Fatal(err)
	}
	for _, h := range s.lab.Hosts() {
		if s.agents[h.Name], err = h.StartAgent(t.Context(), s.server); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range s.agents {
		if err := a.AwaitOnline(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	env, err := s.server.Environment()
	if err != nil {
		t.Fatal(err)
	}
	config, err := client.ConfigFromEnv(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	if s.client, err = client.New(config); err != nil {
		t.Fatal(err)
	}
}

// run runs commands of the command line, each given as one types it.
func (s *site) run(t *testing.T, commands ...string) {
	t.Helper()
	for _, c := range commands {
		if _, err := s.server.Run(t.Context(), strings.Fields(c)...); err != nil {
			t.Fatal(err)
		}
	}
}

// refused runs a command that must be refused, and returns with what words.
func (s *site) refused(t *testing.T, command string) string {
	t.Helper()
	_, err := s.server.Run(t.Context(), strings.Fields(command)...)
	var r *lab.Refusal
	if !errors.As(err, &r) || r.Code != 1 {
		t.Fatalf("gabion %s: %v, want a refusal with exit code 1", command, err)
	}
	return r.Message
}

// register makes guests instances, all of the same groups.
func (s *site) register(t *testing.T, groups string, names ...string) {
	t.Helper()
	for _, name := range names {
		g := s.guests[name]
		s.registerAt(t, groups, g.Host, g.Interface, g.Endpoint)
	}
}

// registerAt makes whoever is behind the host's interface an instance.
func (s *site) registerAt(t *testing.T, groups string, host *lab.Host, link string, e *lab.Endpoint) {
	t.Helper()
	s.run(t, fmt.Sprintf("instance create %s --host %s --interface %s --mac %s --ip %s,%s --group %s",
		e.Name, host.Name, link, e.MAC, e.Addr4, e.Addr6, groups))
}

// openGroup makes a group called open, whose members nobody's rules keep apart.
func (s *site) openGroup(t *testing.T) {
	t.Helper()
	s.run(
		t, "group create open",
		"rule add open --protocol icmp --from 0.0.0.0/0", "rule add open --protocol icmpv6 --from ::/0",
		"rule add open --protocol tcp --from 0.0.0.0/0,::/0", "rule add open --protocol udp --from 0.0.0.0/0,::/0",
	)
}

// services are what is tried from one endpoint to another.
func services(from, to *lab.Endpoint) []lab.Probe {
	return []lab.Probe{
		{From: from, To: to, Protocol: gabion.TCP, Port: webPort},
		{From: from, To: to, Protocol: gabion.TCP, Port: webPort, IPv6: true},
		{From: from, To: to, Protocol: gabion.UDP, Port: gossipPort},
		{From: from, To: to, Protocol: gabion.UDP, Port: gossipPort, IPv6: true},
		{From: from, To: to, Protocol: gabion.ICMP},
		{From: from, To: to, Protocol: gabion.ICMPv6},
	}
}

// everyPair tries all services between all endpoints.
func (s *site) everyPair() []lab.Probe {
	var all []lab.Probe
	for _, from := range s.lab.Endpoints() {
		for _, to := range s.lab.Endpoints() {
			if from != to {
				all = append(all, services(from, to)...)
			}
		}
	}
	return all
}

// checkOpen is the positive control: everything passes.
func (s *site) checkOpen(t *testing.T) {
	t.Helper()
	probes := s.everyPair()
	s.check(t, probes, func(lab.Probe) bool { return true })
}

// predictor is the evaluator with what the server has now.
func (s *site) predictor(t *testing.T) *predict.Predictor {
	t.Helper()
	p, err := predict.Read(t.Context(), s.client)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// checkPredicted holds every pair against the evaluator.
func (s *site) checkPredicted(t *testing.T) {
	t.Helper()
	s.check(t, s.everyPair(), s.predictor(t).Passes)
}

// check makes the probes and tells which ones met something else than wanted.
func (s *site) check(t *testing.T, probes []lab.Probe, want func(lab.Probe) bool) {
	t.Helper()
	passed, err := lab.Try(t.Context(), probes...)
	if err != nil {
		t.Fatal(err)
	}
	wanted, got := map[string]bool{}, map[string]bool{}
	for i, p := range probes {
		wanted[p.String()], got[p.String()] = want(p), passed[i]
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("probes passed (-want +got):\n%s", diff)
	}
}
