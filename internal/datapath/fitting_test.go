package datapath_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/datapath"
	"github.com/gabion/gabion/internal/policy"
	"github.com/google/go-cmp/cmp"
)

// beside adds an instance of another organization, on tap1, whose group has these rules.
func beside(v *policy.View, rules ...gabion.Rule) *policy.View {
	other := oneRule(rules...)
	g, i := other.Groups["group-0"], other.Instances["instance-0"]
	g.ID, g.Organization = "group-4", "org-b"
	i.ID, i.Organization, i.Groups, i.NICs[0].Interface = "instance-1", "org-b", []string{"group-4"}, "tap1"
	v.Groups[g.ID], v.Instances[i.ID] = g, i
	return v
}

// ports are rules for these ports, from anywhere.
func ports(numbers ...uint16) (rules []gabion.Rule) {
	for _, n := range numbers {
		rules = append(rules, gabion.Rule{ID: fmt.Sprintf("port-%d", n), Ports: gabion.PortRange{Start: n, End: n}})
	}
	return rules
}

// after compiles with what was compiled before in force.
func after(t *testing.T, before *datapath.Tables, v *policy.View, n numbers, limits datapath.Limits) *datapath.Tables {
	t.Helper()
	tables, err := datapath.Compile(v, links(), n, limits, datapath.Standing{Sets: before.PolicySets, Origins: before.Origins})
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

// wantOpen holds which of the ports tap0 or tap1 lets in.
func wantOpen(t *testing.T, tables *datapath.Tables, ifindex uint32, asked []uint16, want ...uint16) {
	t.Helper()
	var open []uint16
	for _, p := range asked {
		q := question{ifindex: ifindex, remote: netip.MustParseAddr("10.0.0.1"), protocol: gabion.TCP, port: p}
		if a := simulate(tables, q); a.pass {
			open = append(open, p)
			if a.rule != fmt.Sprintf("port-%d", p) {
				t.Errorf("port %d is open by rule %q", p, a.rule)
			}
		}
	}
	if diff := cmp.Diff(want, open); diff != "" {
		t.Errorf("open at interface %d (-want +got):\n%s", ifindex, diff)
	}
}

func wantStale(t *testing.T, tables *datapath.Tables, words ...string) {
	t.Helper()
	if len(tables.Stale) != 1 || gabion.CodeOf(tables.Stale[0]) != gabion.CodeLimit {
		t.Fatalf("stale %v, want one set beyond a limit", tables.Stale)
	}
	for _, w := range words {
		if text := tables.Stale[0].Error(); !strings.Contains(text, w) || strings.Contains(text, ";") {
			t.Errorf("%q, want %q in one part", text, w)
		}
	}
}

func TestASetThatDoesNotFitHoldsUpNobody(t *testing.T) {
	limits, n, asked := roomy, numbers{}, []uint16{1, 2, 3, 4, 22, 80, 81}
	limits.Policies = 3
	before := after(t, datapath.NewTables(), beside(oneRule(ports(22)...), ports(80)...), n, limits)
	view := beside(oneRule(ports(1, 2, 3, 4)...), ports(81)...)
	view.Revision = 7
	now := after(t, before, view, n, limits)

	wantStale(t, now, "exactly the groups group-0 keep the rules of revision 0", "more than 3 policy entries")
	if strings.Contains(now.Stale[0].Error(), "group-4") {
		t.Errorf("%q names another organization's group", now.Stale[0])
	}
	wantOpen(t, now, 100, asked, 22)
	wantOpen(t, now, 101, asked, 81)
	if diff := cmp.Diff([]string{"port-22", "port-81"}, slices.Sorted(maps.Values(now.Rules))); diff != "" {
		t.Errorf("named rules (-want +got):\n%s", diff)
	}
	if again := after(t, now, view, n, limits); !datapath.PlanIsEmpty(now, again, n) {
		t.Error("compiled again, something is to be written")
	}

	view = beside(oneRule(ports(1, 2)...), ports(81)...)
	fits := after(t, now, view, n, limits)
	if len(fits.Stale) > 0 {
		t.Errorf("stale %v, want that it fits", fits.Stale)
	}
	wantOpen(t, fits, 100, asked, 1, 2)
}

// TestWhatIsKnownNotToFitIsNotTriedAgain until a group in it, or one that it names, is
// another one.
func TestWhatIsKnownNotToFitIsNotTriedAgain(t *testing.T) {
	limits, n := roomy, numbers{}
	limits.CIDRs = 2
	before := after(t, datapath.NewTables(), oneRule(ports(22)...), n, limits)
	view := oneRule(gabion.Rule{ID: "by group", Peer: gabion.Peer{Group: groupID(1)}})
	peer := policy.Group{ID: groupID(1), Organization: "org-a"}
	for p := range byte(3) {
		peer.Sources = append(peer.Sources, netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, p}), 32))
	}
	view.Groups[peer.ID] = &peer
	full := after(t, before, view, n, limits)
	for range 2 {
		fresh := numbers{}
		full = after(t, &datapath.Tables{Origins: full.Origins}, view, fresh, limits)
		wantStale(t, full, "keep the rules of revision 0", "more than 2 networks")
		if compiled := fresh.ofRules(); compiled != 1 {
			t.Errorf("%d rules were compiled, want the one that is kept", compiled)
		}
	}

	smaller := peer
	smaller.Sources = peer.Sources[:1]
	view.Groups[peer.ID] = &smaller
	fits := after(t, &datapath.Tables{Origins: full.Origins}, view, n, limits)
	if len(fits.Stale) > 0 {
		t.Errorf("stale %v, want that it fits", fits.Stale)
	}
	q := question{ifindex: 100, remote: netip.MustParseAddr("203.0.113.0"), protocol: gabion.TCP, port: 7}
	if got := simulate(fits, q); got.rule != "by group" {
		t.Errorf("answer %+v, want the new rule's", got)
	}
}

// ofRules is how many rules were asked for.
func (n numbers) ofRules() (count int) {
	for id := range n {
		if id.Kind == datapath.KindRule {
			count++
		}
	}
	return count
}

func TestOldAndNewDoNotFitTogether(t *testing.T) {
	limits, n, asked := roomy, numbers{}, []uint16{1, 2, 22, 23}
	limits.Policies = 3
	before := after(t, datapath.NewTables(), oneRule(ports(22, 23)...), n, limits)
	wantOpen(t, after(t, before, oneRule(ports(22, 1)...), n, limits), 100, asked, 1, 22)
	now := after(t, before, oneRule(ports(1, 2)...), n, limits)
	wantStale(t, now, "more than 3 policy entries, old and new together")
	wantOpen(t, now, 100, asked, 22, 23)

	limits.Policies, limits.CIDRs = 3, 1
	other := oneRule(gabion.Rule{Peer: gabion.Peer{Network: netip.MustParsePrefix("10.0.0.0/8")}})
	wantStale(t, after(t, before, other, n, limits), "more than 1 networks, old and new together")
}

// TestNothingIsKnownAfterARestart: then nothing passes, out neither.
func TestNothingIsKnownAfterARestart(t *testing.T) {
	limits := roomy
	limits.Policies = 1
	tables, err := datapath.Compile(beside(oneRule(ports(1, 2)...), ports(80)...), links(), numbers{}, limits, datapath.Standing{})
	if err != nil {
		t.Fatal(err)
	}
	wantStale(t, tables, "exactly the groups group-0 have no network")
	wantOpen(t, tables, 100, []uint16{1, 2})
	wantOpen(t, tables, 101, []uint16{80}, 80)
	out := question{ifindex: 100, direction: gabion.Egress, remote: netip.MustParseAddr("10.0.0.1"), protocol: gabion.TCP, port: 1}
	if simulate(tables, out).pass {
		t.Error("a closed set lets out")
	}
	if out.ifindex = 101; !simulate(tables, out).pass {
		t.Error("the other set does not let out")
	}
}

// TestWhatIsKeptMeetsMembersAndSources: the members of now, the sources of then.
func TestWhatIsKeptMeetsMembersAndSources(t *testing.T) {
	const groups = 17
	limits, n := roomy, numbers{}
	limits.CIDRs = 2
	byGroup := func(sources int, peers ...int) *policy.View {
		v := oneRule()
		for p := range groups {
			v.Groups[groupID(10+p)] = &policy.Group{ID: groupID(10 + p), Organization: "org-a"}
		}
		for p := range sources {
			v.Groups[groupID(10)].Sources = append(v.Groups[groupID(10)].Sources, netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(p)}), 32))
		}
		g := v.Groups["group-0"]
		for _, p := range peers {
			g.Rules = append(g.Rules, gabion.Rule{ID: groupID(10 + p), Protocol: gabion.TCP, Peer: gabion.Peer{Group: groupID(10 + p)}})
		}
		return v
	}
	before := after(t, datapath.NewTables(), byGroup(1, 0), n, limits)

	var all []int
	everything := &policy.Member{Instance: "m", Organization: "org-a", Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}
	for p := range groups {
		all, everything.Groups = append(all, p), append(everything.Groups, groupID(10+p))
	}
	view := byGroup(3, all...)
	view.Members["m"] = everything // of more groups than fit, if those counted that no rule in force names
	now := after(t, before, view, n, limits)
	wantStale(t, now, "more than 2 networks")
	if len(now.Refused) > 0 {
		t.Errorf("refused %v", now.Refused)
	}
	for address, want := range map[string]bool{"10.0.0.1": true, "10.0.0.2": false, "203.0.113.0": true, "203.0.113.1": false} {
		q := question{ifindex: 100, remote: netip.MustParseAddr(address), protocol: gabion.TCP, port: 22}
		if got := simulate(now, q); got.pass != want {
			t.Errorf("%s passes %v, want %v", address, got.pass, want)
		}
	}
	if later := after(t, now, byGroup(3, all...), n, limits); simulate(later, question{ifindex: 100, remote: netip.MustParseAddr("10.0.0.1"), protocol: gabion.TCP, port: 22}).pass {
		t.Error("who is no member any more passes by what is kept")
	}
}

// TestLimitsOfASet tells how much is too much for one.
func TestLimitsOfASet(t *testing.T) {
	nested := oneRule( // the two differ in ports, or they would share their keys
		gabion.Rule{ID: "a", Ports: gabion.PortRange{Start: 22, End: 22}, Peer: gabion.Peer{Network: netip.MustParsePrefix("10.0.0.0/8")}},
		gabion.Rule{ID: "b", Peer: gabion.Peer{Network: netip.MustParsePrefix("10.1.0.0/16")}},
	)
	for _, c := range []struct {
		name  string
		limit func(*datapath.Limits)
		fits  bool
	}{
		{"three policies in three", func(l *datapath.Limits) { l.Policies = 3 }, true},
		{"three policies in two", func(l *datapath.Limits) { l.Policies = 2 }, false},
		{"two networks in two", func(l *datapath.Limits) { l.CIDRs = 2 }, true},
		{"two networks in one", func(l *datapath.Limits) { l.CIDRs = 1 }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			limits := roomy
			c.limit(&limits)
			tables := after(t, datapath.NewTables(), nested, numbers{}, limits)
			if fits := len(tables.Stale) == 0; fits != c.fits {
				t.Errorf("stale %v, want fit %v", tables.Stale, c.fits)
			}
		})
	}
}

// TestWhatTheHostHasNoRoomForIsRefusedWhole: nobody knows whose fault it is.
func TestWhatTheHostHasNoRoomForIsRefusedWhole(t *testing.T) {
	limits := roomy
	limits.Members = 0
	view := oneRule(gabion.Rule{Peer: gabion.Peer{Group: "group-0"}})
	view.Members["m"] = &policy.Member{
		Instance: "m", Organization: "org-a", Groups: []string{"group-0"}, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")},
	}
	if _, err := datapath.Compile(view, links(), numbers{}, limits, datapath.Standing{}); gabion.CodeOf(err) != gabion.CodeLimit {
		t.Errorf("error %v, want a limit", err)
	}
}
