package faults_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
	"github.com/gabion/gabion/internal/lab"
	"github.com/gabion/gabion/internal/privilege"
)

// site is a lab with Gabion in it: a server, and hosts h1 and h2. The victim and its
// neighbour are on h1, the friend, whose packets are allowed, and the stranger, whose
// are not, on h2. So is the passer-by, whose interface comes and goes.
type site struct {
	lab       *lab.Lab
	h1, h2    *lab.Host
	victim    *lab.Guest
	neighbour *lab.Guest
	friend    *lab.Guest
	stranger  *lab.Guest

	server *lab.Server
	agents map[string]*lab.Agent
	client *client.Client
	groups map[string]string // id by name

	agentArgs []string
	endpoints []string // of its etcd; nil if it is the embedded one
	marks     int      // changes that were made to see whether hosts are up to date
}

// newSite builds the lab, in which nothing is filtered yet.
func newSite(t *testing.T) *site {
	t.Helper()
	privilege.Require(t)
	l, err := lab.New()
	must(t, err)
	s := &site{lab: l, agents: map[string]*lab.Agent{}, groups: map[string]string{}}
	t.Cleanup(func() { s.close(t) })
	s.h1, err = l.AddHost("h1")
	must(t, err)
	s.h2, err = l.AddHost("h2")
	must(t, err)
	for _, g := range []struct {
		guest **lab.Guest
		host  *lab.Host
		name  string
	}{
		{&s.victim, s.h1, "victim"},
		{&s.neighbour, s.h1, "neighb"},
		{&s.friend, s.h2, "friend"},
		{&s.stranger, s.h2, "strang"},
	} {
		*g.guest, err = g.host.AddGuest(g.name)
		must(t, err)
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

// shownLines is how much of each log is shown of a test that failed.
const shownLines = 40

func (s *site) showLogs(t *testing.T) {
	logs, _ := filepath.Glob(filepath.Join(s.lab.Dir(), "*.log"))
	for _, log := range logs {
		text, err := os.ReadFile(log)
		lines := slices.DeleteFunc(strings.Split(string(text), "\n"), func(l string) bool { return strings.Contains(l, "component=etcd") })
		t.Logf("%s (%v) ends with:\n%s", filepath.Base(log), err, strings.Join(lines[max(0, len(lines)-shownLines):], "\n"))
	}
}

// start proves that nothing is filtered yet, starts the server and the agents, and
// writes the policy.
func (s *site) start(t *testing.T, serverArgs ...string) {
	t.Helper()
	s.startUnfiltered(t)
	var err error
	args := append([]string{"--group-changes", "live", "--rate-limit", "0"}, serverArgs...)
	s.server, err = s.lab.StartServer(t.Context(), program, args...)
	must(t, err)
	s.connect(t)
	for _, h := range s.lab.Hosts() {
		s.agents[h.Name], err = h.StartAgent(t.Context(), s.server, s.agentArgs...)
		must(t, err)
	}
	for _, a := range s.agents {
		must(t, a.AwaitOnline(t.Context()))
	}
	s.writePolicy(t)
}

// startUnfiltered is the control of every test: what is denied later arrives now.
func (s *site) startUnfiltered(t *testing.T) {
	t.Helper()
	traffic := s.startTraffic(t)
	for _, stream := range traffic.streams {
		await(t, "packets that nothing filters, "+stream.name, func() bool { return stream.got.count() > 0 })
	}
	traffic.close()
}

// connect makes a client of the server.
func (s *site) connect(t *testing.T) {
	t.Helper()
	s.client = s.clientWith(t, func(*client.Config) {})
}

// clientWith is a client of the server with the operator's key, and what is changed.
func (s *site) clientWith(t *testing.T, change func(*client.Config)) *client.Client {
	t.Helper()
	env, err := s.server.Environment()
	must(t, err)
	config, err := client.ConfigFromEnv(func(name string) string { return env[name] })
	must(t, err)
	change(&config)
	c, err := client.New(config)
	must(t, err)
	return c
}

// agentsAt is where agents reach the server.
func (s *site) agentsAt() string { return net.JoinHostPort(s.lab.ManagementAddress().String(), "8444") }

// writePolicy makes the groups and the instances. The victim's rules are the churn's.
func (s *site) writePolicy(t *testing.T) {
	t.Helper()
	for _, name := range append([]string{"friends", "strangers", "extra", "web", "tried"}, churned...) {
		s.groups[name] = s.done(t)(s.client.CreateGroup(t.Context(), rest.CreateSecurityGroupRequest{Name: name})).Reference.ID
	}
	s.done(t)(s.client.AddRules(t.Context(), s.groups["servers"], []rest.AddRuleRequest{s.allowing()[0]}))
	tried := []rest.AddRuleRequest{s.fromGroup("udp", triedPort, triedPort+1, "friends")}
	s.done(t)(s.client.AddRules(t.Context(), s.groups["tried"], tried))
	for guest, groups := range map[*lab.Guest][]string{
		s.victim: append([]string{"web", "tried"}, churned...), s.friend: {"friends"}, s.neighbour: {"strangers"}, s.stranger: {"strangers"},
	} {
		s.register(t, guest, groups...)
	}
}

// churned are the victim's groups, whose rules the churn changes.
var churned = []string{"servers", "side1", "side2", "side3"}

// register makes the guest an instance, and returns its id.
func (s *site) register(t *testing.T, g *lab.Guest, groups ...string) string {
	t.Helper()
	return s.done(t)(s.client.CreateInstance(t.Context(), s.instanceOf(g, groups...))).Reference.ID
}

func (s *site) instanceOf(g *lab.Guest, groups ...string) rest.CreateInstanceRequest {
	var identified []rest.Identified
	for _, name := range groups {
		identified = append(identified, rest.Identified{ID: s.groups[name]})
	}
	return rest.CreateInstanceRequest{
		Name: g.Name, Host: g.Host.Name, SecurityGroups: identified,
		Interfaces: []rest.InterfaceRequest{{
			Name: g.Interface, MAC: g.MAC.String(),
			IPv4: []string{g.Addr4.String()}, IPv6: []string{g.Addr6.String()},
		}},
	}
}

// done waits until the change is enforced.
func (s *site) done(t *testing.T) func(rest.Operation, error) rest.Operation {
	return func(operation rest.Operation, err error) rest.Operation {
		t.Helper()
		must(t, err)
		must(t, s.enforced(t, operation))
		return operation
	}
}

const (
	// patience is how long is waited for what has to come.
	patience = time.Minute
	// look is how often it is looked whether it has.
	look = 5 * time.Millisecond
)

// enforced waits until the operation ended. The client's own wait looks less often.
func (s *site) enforced(t *testing.T, operation rest.Operation) error {
	for late := time.Now().Add(patience); operation.State == rest.OperationStatePending; time.Sleep(look) {
		if time.Now().After(late) {
			return fmt.Errorf("operation %s is pending after %s: %s", operation.ID, patience, operation.Message)
		}
		latest, err := s.client.Operation(t.Context(), operation.ID)
		if gabion.CodeOf(err) == gabion.CodeUnavailable {
			continue
		}
		if err != nil {
			return err
		}
		operation = latest
	}
	if operation.State != rest.OperationStateSuccess {
		return errors.New("operation " + operation.ID + " ended as " + string(operation.State) + ": " + operation.Message)
	}
	return nil
}

// await looks until it is so.
func await(t *testing.T, what string, is func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	for !is() {
		if time.Since(begun) > patience {
			t.Fatalf("waited %s for %s", patience, what)
		}
		time.Sleep(look)
	}
	return time.Since(begun)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
