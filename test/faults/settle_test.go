package faults_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gabion/gabion/client/rest"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/policy"
	"github.com/gabion/gabion/internal/store"
)

// checkKept holds what the server has against what it acknowledged (I3): the rules are
// those acknowledged last, or such as were tried since; every group is there.
func (c *churn) checkKept(t *testing.T) {
	t.Helper()
	groups, err := c.site.client.Groups(t.Context())
	must(t, err)
	names, rules := map[string]bool{}, map[string][]string{}
	for _, g := range groups {
		names[g.Name], rules[g.ID] = true, storedKeys(g.Rules)
	}
	for _, w := range c.writers {
		for _, name := range w.groups {
			if !names[name] {
				t.Errorf("I3: group %s was acknowledged and is not there", name)
			}
		}
		same := func(keys []string) bool { return slices.Equal(keys, rules[w.group]) }
		if len(w.kept) > 0 && !slices.ContainsFunc(w.kept, same) {
			t.Errorf("I3: the rules are not those that were acknowledged last (-acknowledged +stored):\n%s", cmp.Diff(w.kept[0], rules[w.group]))
		}
	}
}

// settled makes a change that concerns every host, and waits until all agents enforce
// it, and with it all that came before (I4). It returns how long that took.
func (s *site) settled(t *testing.T) time.Duration {
	t.Helper()
	begun := time.Now()
	s.marks++
	rule := fromNetwork("tcp", s.marks, s.marks, "203.0.113.0/24")
	var operation rest.Operation
	await(t, "a change to be accepted", func() (ok bool) {
		var err error
		operation, err = s.client.ReplaceRules(t.Context(), s.groups["strangers"], []rest.AddRuleRequest{rule})
		return err == nil
	})
	must(t, s.enforced(t, operation))
	await(t, "every host to be up to date", func() bool { return s.lagging(t) == "" })
	return time.Since(begun)
}

// lagging says which host is not up to date, and why.
func (s *site) lagging(t *testing.T) string {
	t.Helper()
	hosts, err := s.client.Hosts(t.Context())
	if err != nil {
		return err.Error()
	}
	for _, h := range hosts {
		if s.agents[h.Name] != nil && (h.Behind || h.Revision == 0 || h.State == rest.HostStateOffline) {
			return fmt.Sprintf("%s is %s at revision %d", h.Name, h.State, h.Revision)
		}
	}
	return ""
}

// checkOneHash holds the policy of each host, as its agent keeps it, against that which
// follows from the store (I4).
func (s *site) checkOneHash(t *testing.T) {
	t.Helper()
	want := s.world(t)
	for name, a := range s.agents {
		view := want.View(name)
		await(t, name+" to have the policy of the store", func() bool { return hashOf(t, view) == hashOf(t, heldBy(t, name, a.StateDir())) })
	}
}

// world is what the store says, read beside the server.
func (s *site) world(t *testing.T) *policy.World {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	st, err := store.Connect(ctx, store.Config{Endpoints: s.etcd(), Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	defer st.Close()
	snapshot, err := st.Snapshot(ctx)
	must(t, err)
	w := policy.NewWorld()
	w.Apply(snapshot.Change)
	return w
}

// etcd is where the server's state is.
func (s *site) etcd() []string {
	if s.endpoints != nil {
		return s.endpoints
	}
	return []string{"unix://" + filepath.Join(s.server.Dir, "etcd", "client.sock")}
}

// heldBy is the policy that the agent of the host has written down.
func heldBy(t *testing.T, host, dir string) *policy.View {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "policy.pb"))
	must(t, err)
	state, err := feed.DecodeState(host, data)
	must(t, err)
	return state.View
}

// hashOf is the hash of all that a view says but for its revision, which passes
// without a change.
func hashOf(t *testing.T, v *policy.View) [32]byte {
	t.Helper()
	_, digest, err := (&feed.State{View: v}).Encode()
	must(t, err)
	return [32]byte(digest)
}
