package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gabion/gabion/client/rest"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/pki"
	"github.com/gabion/gabion/internal/policy"
)

// fleetRole makes the test binary many hosts.
const fleetRole = "GABION_FAULTS_FLEET"

func init() { roles[fleetRole] = runFleet }

// fleet is hosts without kernels in one process, as that is told. Each has its own
// certificate and its own connection.
type fleet struct {
	Server string
	Dir    string // of the hosts' identities
	Report string // the file that tells how many are in sync
}

// runFleet runs all hosts until the process is killed, and tells how many are in sync.
func runFleet(argument string) {
	var f fleet
	if err := json.Unmarshal([]byte(argument), &f); err != nil {
		panic(err)
	}
	identities, err := filepath.Glob(filepath.Join(f.Dir, "*.pem"))
	if err != nil {
		panic(err)
	}
	var clients []*feed.Client
	for _, path := range identities {
		clients = append(clients, f.connect(path))
	}
	for ; ; time.Sleep(2 * look) {
		inSync := 0
		for _, c := range clients {
			if c.Connected() {
				inSync++
			}
		}
		if err := f.report(inSync); err != nil {
			panic(err)
		}
	}
}

// report replaces the file: nobody reads half a number.
func (f fleet) report(inSync int) error {
	if err := os.WriteFile(f.Report+".new", strconv.AppendInt(nil, int64(inSync), 10), 0o600); err != nil {
		return err
	}
	return os.Rename(f.Report+".new", f.Report)
}

func (f fleet) connect(path string) *feed.Client {
	identity, err := pki.LoadIdentity(path)
	if err != nil {
		panic(err)
	}
	h := &simulated{}
	h.client = feed.NewClient(feed.ClientConfig{
		Servers: []string{f.Server}, Version: "simulated", Identity: identity, Receiver: h,
		SaveIdentity: func(*pki.Identity) error { return nil }, Log: slog.New(slog.DiscardHandler),
	})
	go h.client.Run(context.Background()) //nolint:errcheck // it ends with the process
	return h.client
}

// simulated is a host without a kernel: it takes its policy and says that it has it.
type simulated struct {
	client *feed.Client
	epoch  string
	view   *policy.View
}

// Replace takes a whole policy.
func (h *simulated) Replace(epoch string, v *policy.View) {
	h.epoch, h.view = epoch, v
	h.acknowledge(v.Revision)
}

// Change takes a change.
func (h *simulated) Change(d *policy.Delta) {
	h.view.Apply(d)
	h.acknowledge(d.Revision)
}

func (h *simulated) acknowledge(revision int64) {
	h.client.Ack(feed.Position{Epoch: h.epoch, Revision: revision}, nil)
}

// startFleet joins so many simulated hosts, connects them to the real server, and gives
// each an instance.
func (s *site) startFleet(t *testing.T, size int) fleet {
	t.Helper()
	f := fleet{Server: s.agentsAt(), Dir: filepath.Join(s.lab.Dir(), "fleet"), Report: filepath.Join(s.lab.Dir(), "in-sync")}
	must(t, os.Mkdir(f.Dir, 0o700))
	each(t, size, func(n int) error {
		identity, err := s.join(t.Context(), simulatedName(n))
		if err != nil {
			return err
		}
		return identity.Save(filepath.Join(f.Dir, simulatedName(n)+".pem"))
	})
	argument, err := json.Marshal(f)
	must(t, err)
	// Hosts have processors of their own: these must not take the server's.
	_, err = s.lab.Start(nil, "fleet", "/usr/bin/nice", "-n", "10", "/usr/bin/env", fleetRole+"="+string(argument), os.Args[0])
	must(t, err)
	f.await(t, size)
	each(t, size, func(n int) error {
		_, err := s.client.CreateInstance(t.Context(), s.simulatedInstance(n))
		return err
	})
	return f
}

// each does something so many times, some of them at once.
func each(t *testing.T, size int, do func(n int) error) {
	t.Helper()
	var tasks sync.WaitGroup
	gate := make(chan struct{}, 8)
	for n := range size {
		gate <- struct{}{}
		tasks.Go(func() {
			defer func() { <-gate }()
			if err := do(n); err != nil {
				t.Error(err)
			}
		})
	}
	tasks.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

func simulatedName(n int) string { return fmt.Sprintf("sim%d", n) }

func (s *site) simulatedInstance(n int) rest.CreateInstanceRequest {
	return rest.CreateInstanceRequest{
		Name: simulatedName(n), Host: simulatedName(n), SecurityGroups: []rest.Identified{{ID: s.groups["strangers"]}},
		Interfaces: []rest.InterfaceRequest{{
			Name: "tap0", MAC: fmt.Sprintf("02:88:00:00:%02x:%02x", n/256, n%256), IPv4: []string{fmt.Sprintf("10.88.%d.%d", n/200, 1+n%200)},
		}},
	}
}

// await waits until so many hosts are in sync.
func (f fleet) await(t *testing.T, hosts int) time.Duration {
	t.Helper()
	return await(t, fmt.Sprintf("%d hosts to be in sync", hosts), func() bool {
		told, err := os.ReadFile(f.Report)
		return err == nil && string(told) == strconv.Itoa(hosts)
	})
}

// A server that comes back has all its hosts come back at once.
func TestManyReconnect(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	s.start(t)
	size := times(20, 1000)
	fleet := s.startFleet(t, size)
	s.settled(t)
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	must(t, s.server.Kill())
	fleet.await(t, 0)
	time.Sleep(*lasts)
	must(t, s.server.Start(t.Context()))
	asking := s.ask(t)
	begun := time.Now()
	synced := fleet.await(t, size)
	s.settled(t)
	took := asking()
	r.packets(traffic)
	r.say("%d simulated hosts in one process of lower priority (nice 10), with certificates and connections of their own, to the real server", size)
	r.within("all in sync after", synced, time.Minute)
	r.say("a change that concerns all enforced by all %s after the server was back", rounded(time.Since(begun)))
	r.within("meanwhile the API answered, p99, within", quantile(took, 0.99), time.Second)
	r.converged(s, churn)
}

// ask reads from the API all the time. What is returned ends that and tells how long
// each answer took.
func (s *site) ask(t *testing.T) func() []time.Duration {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var took []time.Duration
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			begun := time.Now()
			if _, err := s.client.Groups(context.WithoutCancel(ctx)); err == nil {
				took = append(took, time.Since(begun))
			}
			time.Sleep(look)
		}
	}()
	return func() []time.Duration {
		cancel()
		<-done
		return took
	}
}
