package faults_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gabion/gabion/client/rest"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/pki"
	"github.com/gabion/gabion/internal/policy"
)

// simulated is a host without a kernel: it takes its policy and says that it has it.
type simulated struct {
	client *feed.Client
	cancel context.CancelFunc

	epoch    string
	revision atomic.Int64
	view     *policy.View
}

// Replace takes a whole policy.
func (h *simulated) Replace(epoch string, v *policy.View) {
	h.epoch, h.view = epoch, v
	h.acknowledge(v.Revision)
}

// Change takes a change.
func (h *simulated) Change(d *policy.Delta) {
	if h.view != nil {
		h.view.Apply(d)
	}
	h.acknowledge(d.Revision)
}

func (h *simulated) acknowledge(revision int64) {
	h.revision.Store(revision)
	h.client.Ack(feed.Position{Epoch: h.epoch, Revision: revision}, nil)
}

// startFleet joins so many simulated hosts, with one instance each, and connects them
// to the real server: each with its own certificate and its own connection.
func (s *site) startFleet(t *testing.T, size int) []*simulated {
	t.Helper()
	fleet := make([]*simulated, size)
	var tasks sync.WaitGroup
	gate := make(chan struct{}, 8)
	for n := range fleet {
		tasks.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			fleet[n] = s.simulate(t, n)
		})
	}
	tasks.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return fleet
}

func (s *site) simulate(t *testing.T, n int) *simulated {
	h := &simulated{}
	name := fmt.Sprintf("sim%d", n)
	server := net.JoinHostPort(s.lab.ManagementAddress().String(), "8444")
	token, err := s.client.CreateHostToken(t.Context(), name)
	if err != nil {
		t.Error(err)
		return h
	}
	parsed, err := pki.ParseToken(strings.TrimSpace(token.Token))
	if err != nil {
		t.Error(err)
		return h
	}
	identity, err := feed.JoinAny(t.Context(), []string{server}, parsed)
	if err != nil {
		t.Error(err)
		return h
	}
	s.connectSimulated(t, h, server, identity)
	_, err = s.client.CreateInstance(t.Context(), rest.CreateInstanceRequest{
		Name: name, Host: name, SecurityGroups: []rest.Identified{{ID: s.groups["strangers"]}},
		Interfaces: []rest.InterfaceRequest{{
			Name: "tap0", MAC: fmt.Sprintf("02:88:00:00:%02x:%02x", n/256, n%256), IPv4: []string{fmt.Sprintf("10.88.%d.%d", n/200, 1+n%200)},
		}},
	})
	if err != nil {
		t.Error(err)
	}
	return h
}

func (s *site) connectSimulated(t *testing.T, h *simulated, server string, identity *pki.Identity) {
	h.client = feed.NewClient(feed.ClientConfig{
		Servers: []string{server}, Version: "simulated", Identity: identity, Receiver: h,
		SaveIdentity: func(*pki.Identity) error { return nil }, Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	h.cancel = cancel
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.client.Run(ctx) //nolint:errcheck // it ends with its context
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// A server that comes back has all its hosts come back at once.
func TestManyReconnect(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	s.start(t)
	fleet := s.startFleet(t, times(20, 1000))
	s.settled(t)
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	must(t, s.server.Kill())
	time.Sleep(*lasts)
	for _, h := range fleet {
		h.revision.Store(0)
	}
	must(t, s.server.Start(t.Context()))
	asking := s.ask(t)
	begun := time.Now()
	await(t, "all hosts to be in sync", func() bool {
		for _, h := range fleet {
			if h.revision.Load() == 0 {
				return false
			}
		}
		return true
	})
	synced := time.Since(begun)
	s.settled(t)
	took := asking()
	r.packets(traffic)
	r.say("%d simulated hosts in one process, with certificates and connections of their own, to the real server", len(fleet))
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
