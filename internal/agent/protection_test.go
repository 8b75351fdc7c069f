package agent_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gabion/gabion/internal/agent"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/hypervisor"
	"github.com/gabion/gabion/internal/policy"
)

// hypervisorLinks are a bridge with an instance's tap, somebody's taps, uplinks of two
// kinds, and a bridge that no instance is at.
func hypervisorLinks(change func(l *hypervisor.Link)) map[string]hypervisor.Link {
	links := map[string]hypervisor.Link{}
	for _, l := range []hypervisor.Link{
		{Name: "br0", Index: 2, Kind: "bridge", IsBridge: true},
		{Name: "br1", Index: 3, Kind: "bridge", IsBridge: true},
		{Name: "eno1", Index: 4, Kind: "device", Master: 2},
		{Name: "ext0", Index: 5, Kind: "veth", Master: 2},
		{Name: "tap1", Index: 11, Kind: "tuntap", Master: 2},
		{Name: "vnet3", Index: 12, Kind: "tuntap", Master: 2},
		{Name: "veth9", Index: 13, Kind: "veth", Master: 3},
	} {
		change(&l)
		links[l.Name] = l
	}
	return links
}

func TestProtection(t *testing.T) {
	same := func(*hypervisor.Link) {}
	closed := func(l *hypervisor.Link) { l.IsClosed = l.Name == "br0" }
	foreign := []string{"ext0", "vnet3", "veth9"}
	for name, tt := range map[string]struct {
		config  agent.ProtectionConfig
		change  func(l *hypervisor.Link)
		nothing bool // the host has no nftables
		want    feed.Protection
		belt    *hypervisor.Belt
		story   []string
	}{
		"belt": {
			change: same, belt: &hypervisor.Belt{Names: []string{"tap1"}}, story: []string{"admit tap1 true"},
			want: feed.Protection{Remedies: []string{"br0=nftables"}, UnprotectedPorts: []string{"ext0", "vnet3"}},
		},
		"uplinks are named": {
			config: agent.ProtectionConfig{Uplinks: []string{"ext*"}},
			change: same, belt: &hypervisor.Belt{Names: []string{"tap1"}}, story: []string{"admit tap1 true"},
			want: feed.Protection{Remedies: []string{"br0=nftables"}, UnprotectedPorts: []string{"vnet3"}},
		},
		"instances without policy are named": {
			config: agent.ProtectionConfig{Prefixes: []string{"vnet"}},
			change: same, belt: &hypervisor.Belt{Names: []string{"tap1"}, Prefixes: []string{"vnet"}}, story: []string{"admit tap1 true"},
			want: feed.Protection{Remedies: []string{"br0=nftables"}, UnprotectedPorts: []string{"ext0"}},
		},
		"no nftables": {
			change: same, nothing: true, story: []string{"admit tap1 true"},
			want: feed.Protection{Remedies: []string{"br0=repair"}, UnprotectedPorts: []string{"ext0", "vnet3"}},
		},
		"no nftables, instances without policy are named": {
			config: agent.ProtectionConfig{Prefixes: []string{"vnet"}},
			change: same, nothing: true, story: []string{"admit tap1 true"},
			want: feed.Protection{Remedies: []string{"br0=repair"}, UnprotectedPorts: []string{"ext0", "vnet3"}},
		},
		"VLANs": {
			config: agent.ProtectionConfig{VLAN: 7},
			change: closed, story: []string{"VLAN 7 for tap1", "admit tap1 true"},
			want: feed.Protection{Remedies: []string{"br0=vlan"}, UnprotectedPorts: []string{"ext0", "vnet3"}},
		},
		"VLANs that the agent must not give": {
			change: closed, belt: &hypervisor.Belt{Names: []string{"tap1"}}, story: []string{"admit tap1 true"},
			want: feed.Protection{Remedies: []string{"br0=nftables"}, UnprotectedPorts: []string{"ext0", "vnet3"}},
		},
		"VLANs that the bridge does not filter": {
			config: agent.ProtectionConfig{VLAN: 7},
			change: same, belt: &hypervisor.Belt{Names: []string{"tap1"}}, story: []string{"admit tap1 true"},
			want: feed.Protection{Remedies: []string{"br0=nftables"}, UnprotectedPorts: []string{"ext0", "vnet3"}},
		},
		"the agent's own taps": {
			change: func(l *hypervisor.Link) {
				if l.Name == "tap1" {
					l.Managed = "tap1"
				}
			}, story: []string{"admit tap1 true"},
			want: feed.Protection{Remedies: []string{"br0=managed"}, UnprotectedPorts: []string{"ext0", "vnet3"}},
		},
		"a policy that names a network card": {
			change: func(l *hypervisor.Link) {
				if l.Name == "tap1" {
					l.Kind = "device"
				}
			},
			want: feed.Protection{Remedies: []string{"br0=repair"}, UnprotectedPorts: []string{"ext0", "vnet3"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost()
			h.foreign = foreign
			h.links = hypervisorLinks(tt.change)
			if tt.nothing {
				h.beltless = errors.New("no nftables")
			}
			got, err := agent.Protect(h, tt.config, view(5, one(false)), h.now())
			if err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("report: %s", diff)
			}
			if diff := cmp.Diff(tt.belt, h.belt); diff != "" {
				t.Errorf("belt: %s", diff)
			}
			if diff := cmp.Diff(tt.story, h.story); diff != "" {
				t.Errorf("the host was told otherwise: %s", diff)
			}
		})
	}
}

// What is not filtered is closed, whatever it was before.
func TestPortWithoutFilterIsDismissed(t *testing.T) {
	h := newHost()
	h.bare = true
	h.links = hypervisorLinks(func(l *hypervisor.Link) { l.Admitted = l.Name == "tap1" })
	report, err := agent.Protect(h, agent.ProtectionConfig{}, view(5, one(false)), h.now())
	if err != nil {
		t.Error(err)
	}
	expect(t, h, "admit tap1 false")
	if diff := cmp.Diff([]string{"ext0", "vnet3"}, report.UnprotectedPorts); diff != "" {
		t.Errorf("unprotected: %s", diff)
	}
}

// An interface that goes away while we look is nobody's problem.
func TestPortThatGoesAwayIsNoProblem(t *testing.T) {
	h := newHost()
	h.bare = true
	h.links = hypervisorLinks(func(*hypervisor.Link) {})
	h.gone = []string{"tap1", "vnet3"}
	report, err := agent.Protect(h, agent.ProtectionConfig{}, view(5, one(false)), h.now())
	if err != nil {
		t.Error(err)
	}
	expect(t, h)
	if diff := cmp.Diff([]string{"ext0"}, report.UnprotectedPorts); diff != "" {
		t.Errorf("unprotected: %s", diff)
	}
}

// What an audit finds is repaired, and told in the host's status.
func TestDriftIsRepairedAndTold(t *testing.T) {
	b := start(t, t.TempDir())
	b.Links(tap1(true))
	b.Replace("e", view(5, one(false)))
	next(t, "Apply", b.applied)
	b.answer <- nil
	b.expectAck(t, 5, "")
	b.drift <- []string{"interface 11 had no from_instance"}
	next(t, "Apply", b.applied)
	b.answer <- nil
	got := next(t, "an ack", b.acks)
	if !strings.Contains(got.problem, "interface 11 had no from_instance") || got.at.Revision != 5 {
		t.Errorf("got ack %+v, want one that tells of the drift", got)
	}
	if err := b.Ready(); err != nil {
		t.Errorf("not ready although it is repaired: %v", err)
	}
	if got := b.protection.Load().Drifts; got != 1 {
		t.Errorf("%d drifts are reported, want 1", got)
	}
}

func TestWhatTheKernelTellsOfOurOwnDoingIsNoNews(t *testing.T) {
	b := start(t, t.TempDir())
	links := hypervisorLinks(func(*hypervisor.Link) {})
	b.Links(links)
	b.Replace("e", view(5, one(false)))
	next(t, "Apply", b.applied)
	b.answer <- nil
	b.expectAck(t, 5, "")
	b.Links(b.host.now()) // tap1 is admitted
	b.Change(&policy.Delta{Revision: 6})
	b.expectAck(t, 6, "")
	none(t, "Apply", b.applied)
}
