package datapath_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/datapath"
	"github.com/gabion/gabion/internal/policy"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// TestTablesSayWhatRulesSay is the compiler's whole promise: asking the maps is
// asking the rules.
func TestTablesSayWhatRulesSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		view := drawView(t)
		tables := compile(t, view)
		for range 200 {
			q := drawQuestion(t)
			got := simulate(tables, q)
			i := instanceAt(view, q.ifindex)
			if i == nil {
				if got.pass {
					t.Fatalf("%+v passes without an instance", q)
				}
				continue
			}
			pass, rules := evaluate(view, i, q)
			if got.pass != pass || got.rule != "" && !slices.Contains(rules, got.rule) {
				t.Fatalf("%+v:\ntables say %+v\nrules say %v %v", q, got, pass, rules)
			}
		}
	})
}

// TestCompileDependsOnTheViewAlone compiles twice and in another history.
func TestCompileDependsOnTheViewAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := numbers{}
		view, other := drawView(t), drawView(t)
		first := compileWith(t, view, n)
		compileWith(t, other, n)
		if diff := cmp.Diff(first, compileWith(t, view, n), sameErrors, noOrigins); diff != "" {
			t.Fatalf("compiled again, the view comes to something else:\n%s", diff)
		}
	})
}

var noOrigins = cmpopts.IgnoreFields(datapath.Tables{}, "Origins")

var sameErrors = cmp.Comparer(func(a, b error) bool { return a.Error() == b.Error() })

func TestPortPrefixesHoldExactlyTheRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Uint16Min(1).Draw(t, "a"), rapid.Uint16Min(1).Draw(t, "b")
		ports := gabion.PortRange{Start: min(a, b), End: max(a, b)}
		held := 0
		for key := range onlySet(compile(t, oneRule(gabion.Rule{Ports: ports}))).Policies {
			first := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, key.Port))
			last := first | uint16(1<<(64-key.Prefixlen)-1)
			if !ports.Contains(first) || !ports.Contains(last) || first&^last != 0 || last-first != uint16(1<<(64-key.Prefixlen)-1) {
				t.Fatalf("%s: a prefix holds %d to %d", ports, first, last)
			}
			held += int(last-first) + 1
		}
		// Prefixes are disjoint or nested; as many ports as the range has means disjoint and all.
		if want := int(ports.End-ports.Start) + 1; held != want {
			t.Fatalf("%s: prefixes hold %d ports, want %d", ports, held, want)
		}
	})
}

func TestPortPrefixesAreFew(t *testing.T) {
	for _, c := range []struct {
		ports gabion.PortRange
		want  int
	}{
		{gabion.PortRange{}, 1},
		{gabion.PortRange{Start: 22, End: 22}, 1},
		{gabion.PortRange{Start: 1024, End: 65535}, 6},
		{gabion.PortRange{Start: 1, End: 65535}, 16},
		{gabion.PortRange{Start: 1, End: 65534}, 30},
		{gabion.PortRange{Start: 80, End: 81}, 1},
		{gabion.PortRange{Start: 81, End: 82}, 2},
	} {
		set := onlySet(compile(t, oneRule(gabion.Rule{Ports: c.ports})))
		if got := len(set.Policies); got != c.want {
			t.Errorf("%s takes %d prefixes, want %d", c.ports, got, c.want)
		}
	}
}

// TestTheLowestRuleIDAnswers makes the reported rule independent of map order.
func TestTheLowestRuleIDAnswers(t *testing.T) {
	view := oneRule(
		gabion.Rule{ID: "c"}, gabion.Rule{ID: "a", Description: "the same access"}, gabion.Rule{ID: "b"},
	)
	got := simulate(compile(t, view), question{ifindex: 100, remote: netip.MustParseAddr("10.0.0.1"), protocol: gabion.TCP, port: 22})
	if want := (answer{pass: true, rule: "a"}); got != want {
		t.Errorf("answer %+v, want %+v", got, want)
	}
}

// TestWhatCannotBeEnforcedIsLeftOut holds that one bad object costs only itself.
func TestWhatCannotBeEnforcedIsLeftOut(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*policy.View, *gabion.Instance)
	}{
		{"no group", func(_ *policy.View, i *gabion.Instance) { i.Groups = nil }},
		{"unknown group", func(_ *policy.View, i *gabion.Instance) { i.Groups = []string{"group-0", "nowhere"} }},
		{"another organization's group", func(v *policy.View, i *gabion.Instance) {
			v.Groups["theirs"] = &policy.Group{ID: "theirs", Organization: "org-b"}
			i.Groups = []string{"group-0", "theirs"}
		}},
		{"too many addresses", func(_ *policy.View, i *gabion.Instance) {
			i.NICs[0].Addresses = slices.Repeat([]netip.Addr{netip.MustParseAddr("192.0.2.1")}, 9)
		}},
		{"invalid address", func(_ *policy.View, i *gabion.Instance) { i.NICs[0].Addresses = []netip.Addr{{}} }},
		{"mapped address", func(_ *policy.View, i *gabion.Instance) {
			i.NICs[0].Addresses = []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.1")}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			view := oneRule(gabion.Rule{})
			good := *view.Instances["instance-0"]
			good.ID = "instance-1"
			good.NICs = []gabion.NIC{{Interface: "tap1"}}
			view.Instances[good.ID] = &good
			c.change(view, view.Instances["instance-0"])

			tables := compile(t, view)
			if _, ok := tables.NICs[100]; ok {
				t.Error("the bad instance has a NIC")
			}
			if _, ok := tables.NICs[101]; !ok {
				t.Error("the good instance has no NIC")
			}
			if len(tables.Refused) != 1 || !strings.Contains(tables.Refused[0].Error(), "instance-0") {
				t.Errorf("refused %v, want instance-0 alone", tables.Refused)
			}
		})
	}
}

// TestAMemberOfTooManyGroupsIsInNone, and is named once, also where addresses are shared.
func TestAMemberOfTooManyGroupsIsInNone(t *testing.T) {
	const groups = 17
	view := oneRule(make([]gabion.Rule, groups)...)
	var all []string
	for n := range groups {
		id := groupID(n + 1)
		all = append(all, id)
		view.Groups[id] = &policy.Group{ID: id, Organization: "org-a"}
		view.Groups["group-0"].Rules[n].Peer = gabion.Peer{Group: id}
	}
	address := netip.MustParseAddr("10.0.0.1")
	for id, held := range map[string][]string{"many": all, "one": all[:1], "two": all[1:3]} {
		view.Members[id] = &policy.Member{Instance: id, Organization: "org-a", Addresses: []netip.Addr{address}, Groups: held}
	}
	tables := compile(t, view)
	if len(tables.Refused) != 1 || !strings.Contains(tables.Refused[0].Error(), "member many") {
		t.Errorf("refused %v, want the member of many groups once", tables.Refused)
	}
	for _, number := range tables.Members {
		if held := tables.RemoteSets[number].Groups; held[2] == 0 || held[3] != 0 {
			t.Errorf("the address has the groups %v, want the three of the other members", held)
		}
	}
}

// TestABadEgressRuleStillClosesEgress: leaving a rule out must never open anything.
func TestABadEgressRuleStillClosesEgress(t *testing.T) {
	view := oneRule(gabion.Rule{Direction: gabion.Egress, Ports: gabion.PortRange{Start: 9, End: 1}})
	tables := compile(t, view)
	q := question{ifindex: 100, direction: gabion.Egress, remote: netip.MustParseAddr("10.0.0.1"), protocol: gabion.TCP, port: 5}
	if got := simulate(tables, q); got.pass {
		t.Errorf("answer %+v, want a drop", got)
	}
	if len(tables.Refused) != 1 {
		t.Errorf("refused %v, want the rule", tables.Refused)
	}
}

// tester is a testing.T or a rapid.T.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func compile(t tester, v *policy.View) *datapath.Tables {
	t.Helper()
	return compileWith(t, v, numbers{})
}

func compileWith(t tester, v *policy.View, n numbers) *datapath.Tables {
	t.Helper()
	tables, err := datapath.Compile(v, links(), n, roomy, datapath.Standing{})
	if err != nil {
		t.Fatal(err)
	}
	return tables
}

// oneRule is a view of one instance in one group with these rules: ingress, TCP and
// from anywhere, where they don't say otherwise.
func oneRule(rules ...gabion.Rule) *policy.View {
	for i := range rules {
		r := &rules[i]
		if r.Protocol == 0 {
			r.Protocol = gabion.TCP
		}
		if r.Peer == (gabion.Peer{}) {
			r.Peer.Network = netip.MustParsePrefix("0.0.0.0/0")
		}
		if r.ID == "" {
			r.ID = fmt.Sprintf("rule-%d", i)
		}
		r.Group = "group-0"
	}
	v := policy.NewView()
	v.Groups["group-0"] = &policy.Group{ID: "group-0", Organization: "org-a", Name: "group-0", Rules: rules}
	v.Instances["instance-0"] = &gabion.Instance{
		ID: "instance-0", Organization: "org-a", Groups: []string{"group-0"},
		NICs: []gabion.NIC{{Interface: "tap0", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}},
	}
	return v
}

func onlySet(t *datapath.Tables) *datapath.PolicySet {
	for _, s := range t.PolicySets {
		return s
	}
	return nil
}

// largeView has the numbers of members and rules that the design is made for.
func largeView(members, rules int) *policy.View {
	v := oneRule()
	g := v.Groups["group-0"]
	for r := range rules {
		rule := gabion.Rule{
			ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", r), Group: g.ID, Protocol: gabion.TCP,
			Ports: gabion.PortRange{Start: uint16(1 + r%60000), End: uint16(1 + r%60000)},
			Peer:  gabion.Peer{Group: fmt.Sprintf("10000000-0000-4000-8000-%012d", r%100)},
		}
		if r%10 == 0 {
			rule.Peer = gabion.Peer{Network: netip.PrefixFrom(netip.AddrFrom4([4]byte{100, byte(r >> 16), byte(r >> 8), byte(r)}), 32)}
		}
		g.Rules = append(g.Rules, rule)
	}
	for n := range 100 {
		id := fmt.Sprintf("10000000-0000-4000-8000-%012d", n)
		v.Groups[id] = &policy.Group{ID: id, Organization: "org-a", Name: id}
	}
	for m := range members {
		v.Members[fmt.Sprint("member-", m)] = &policy.Member{
			Instance: fmt.Sprint("member-", m), Organization: "org-a",
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, byte(m >> 16), byte(m >> 8), byte(m)})},
			Groups:    []string{fmt.Sprintf("10000000-0000-4000-8000-%012d", m%100), fmt.Sprintf("10000000-0000-4000-8000-%012d", (m/100)%100)},
		}
	}
	return v
}

func BenchmarkCompile(b *testing.B) {
	for _, size := range []struct{ members, rules int }{{10, 1}, {10, 10_000}, {100_000, 1}, {100_000, 10_000}} {
		b.Run(fmt.Sprintf("members=%d/rules=%d", size.members, size.rules), func(b *testing.B) {
			view, n := largeView(size.members, size.rules), numbers{}
			for b.Loop() {
				if _, err := datapath.Compile(view, links(), n, roomy, datapath.Standing{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
