package feed_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/policy"
)

var same = cmp.Options{
	cmpopts.EquateEmpty(),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

var (
	ids   = rapid.StringMatching(`[a-z0-9-]{1,36}`)
	names = rapid.StringMatching(`[a-zA-Zäß ]{1,20}`)

	addr4     = rapid.Custom(func(t *rapid.T) netip.Addr { return netip.AddrFrom4([4]byte(bytesOf(t, 4))) })
	addr6     = rapid.Custom(drawAddr6)
	addresses = rapid.OneOf(addr4, addr6)
	prefixes  = rapid.Custom(func(t *rapid.T) netip.Prefix { return drawPrefix(t, addresses) })
	owned     = rapid.Custom(func(t *rapid.T) netip.Addr {
		// Unicast of both families that a machine can have as its own.
		if rapid.Bool().Draw(t, "six") {
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: rapid.Byte().Draw(t, "last")})
		}
		return netip.AddrFrom4([4]byte{10, rapid.Byte().Draw(t, "b"), rapid.Byte().Draw(t, "c"), 7})
	})
)

func bytesOf(t *rapid.T, n int) []byte {
	return rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "bytes")
}

func drawAddr6(t *rapid.T) netip.Addr {
	a := netip.AddrFrom16([16]byte(bytesOf(t, 16)))
	if a.Is4In6() {
		return netip.IPv6Loopback()
	}
	return a
}

func drawPrefix(t *rapid.T, of *rapid.Generator[netip.Addr]) netip.Prefix {
	a := of.Draw(t, "address")
	p := netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits")).Masked()
	if p.Addr().Is4In6() {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return p
}

func drawRule(t *rapid.T) gabion.Rule {
	r := gabion.Rule{
		ID:          ids.Draw(t, "id"),
		Direction:   gabion.Direction(rapid.IntRange(0, 1).Draw(t, "direction")),
		Description: names.Draw(t, "description"),
		Protocol: rapid.SampledFrom([]gabion.Protocol{
			gabion.TCP, gabion.UDP, gabion.ICMP, gabion.ICMPv6, gabion.AH, gabion.ESP, gabion.GRE, gabion.IPIP,
		}).Draw(t, "protocol"),
	}
	if r.Protocol.HasPorts() && rapid.Bool().Draw(t, "ports") {
		r.Ports.Start = rapid.Uint16Min(1).Draw(t, "start")
		r.Ports.End = rapid.Uint16Min(r.Ports.Start).Draw(t, "end")
	}
	if r.Protocol.IsICMP() {
		r.ICMP.Type = rapid.IntRange(-1, 255).Draw(t, "type")
		r.ICMP.Code = -1
		if r.ICMP.Type >= 0 {
			r.ICMP.Code = rapid.IntRange(-1, 255).Draw(t, "code")
		}
	}
	r.Peer = drawPeer(t, r.Protocol)
	return r
}

func drawPeer(t *rapid.T, p gabion.Protocol) gabion.Peer {
	family := addresses
	switch {
	case rapid.Bool().Draw(t, "group"):
		return gabion.Peer{Group: ids.Draw(t, "peer")}
	case p == gabion.ICMP:
		family = addr4
	case p == gabion.ICMPv6:
		family = addr6
	}
	return gabion.Peer{Network: drawPrefix(t, family)}
}

func drawGroup(t *rapid.T) *policy.Group {
	g := &policy.Group{
		ID:           ids.Draw(t, "id"),
		Organization: ids.Draw(t, "organization"),
		Name:         names.Draw(t, "name"),
		Sources:      rapid.SliceOfN(prefixes, 0, 3).Draw(t, "sources"),
		Rules:        rapid.SliceOfNDistinct(rapid.Custom(drawRule), 0, 4, func(r gabion.Rule) string { return r.ID }).Draw(t, "rules"),
	}
	slices.SortFunc(g.Rules, func(a, b gabion.Rule) int { return strings.Compare(a.ID, b.ID) })
	for i := range g.Rules {
		g.Rules[i].Group = g.ID
	}
	return g
}

func drawMember(t *rapid.T) *policy.Member {
	return &policy.Member{
		Instance:     ids.Draw(t, "instance"),
		Organization: ids.Draw(t, "organization"),
		Addresses:    rapid.SliceOfN(addresses, 0, 4).Draw(t, "addresses"),
		Groups:       slices.Sorted(slices.Values(rapid.SliceOfNDistinct(ids, 1, 4, rapid.ID).Draw(t, "groups"))),
	}
}

func drawInstance(t *rapid.T) *gabion.Instance {
	i := &gabion.Instance{
		ID:           ids.Draw(t, "id"),
		Organization: ids.Draw(t, "organization"),
		Name:         names.Draw(t, "name"),
		Host:         "hv1",
		Groups:       rapid.SliceOfNDistinct(ids, 1, 4, rapid.ID).Draw(t, "groups"),
	}
	owned := rapid.SliceOfNDistinct(owned, 0, 6, rapid.ID).Draw(t, "addresses")
	for n := range rapid.IntRange(0, 2).Draw(t, "interfaces") {
		i.NICs = append(i.NICs, gabion.NIC{
			Interface: fmt.Sprintf("tap%d", n),
			MAC:       gabion.MAC{2, 0, rapid.Byte().Draw(t, "mac"), 0, 0, byte(n)},
			Addresses: owned[n*len(owned)/2 : (n+1)*len(owned)/2],
			Managed:   rapid.Bool().Draw(t, "managed"),
		})
	}
	return i
}

func drawDelta(t *rapid.T) *policy.Delta {
	return &policy.Delta{
		Revision:      rapid.Int64Min(1).Draw(t, "revision"),
		Groups:        rapid.SliceOfN(rapid.Custom(drawGroup), 0, 3).Draw(t, "groups"),
		Members:       rapid.SliceOfN(rapid.Custom(drawMember), 0, 3).Draw(t, "members"),
		Instances:     rapid.SliceOfN(rapid.Custom(drawInstance), 0, 3).Draw(t, "instances"),
		GoneGroups:    rapid.SliceOfN(ids, 0, 2).Draw(t, "gone groups"),
		GoneMembers:   rapid.SliceOfN(ids, 0, 2).Draw(t, "gone members"),
		GoneInstances: rapid.SliceOfN(ids, 0, 2).Draw(t, "gone instances"),
	}
}

func TestDeltaRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawDelta(t)
		frame, err := proto.Marshal(feed.EncodeDelta(want))
		if err != nil {
			t.Fatal(err)
		}
		var m feedpb.Delta
		if err := proto.Unmarshal(frame, &m); err != nil {
			t.Fatal(err)
		}
		got, err := feed.DecodeDelta("hv1", &m)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, same); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestStateRoundTripAndDamage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := &feed.State{Epoch: ids.Draw(t, "epoch"), View: policy.NewView()}
		want.View.Apply(drawDelta(t))
		data, digest, err := want.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := feed.DecodeState("hv1", data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, same); diff != "" {
			t.Fatal(diff)
		}
		got.View.Revision++
		if _, again, err := got.Encode(); err != nil || !bytes.Equal(again, digest) {
			t.Fatalf("with another revision its digest is %x, %v; it was %x", again, err, digest)
		}
		got.View.Groups["other"] = &policy.Group{ID: "other"}
		if _, other, err := got.Encode(); err != nil || bytes.Equal(other, digest) {
			t.Fatalf("with another group its digest is still %x, %v", other, err)
		}

		length := rapid.IntRange(0, len(data)-1).Draw(t, "length")
		if _, err := feed.DecodeState("hv1", data[:length]); err == nil {
			t.Fatalf("truncated to %d bytes of %d: accepted", length, len(data))
		}
		damaged := slices.Clone(data)
		damaged[rapid.IntRange(0, len(data)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
		if _, err := feed.DecodeState("hv1", damaged); err == nil {
			t.Fatal("damaged: accepted")
		}
		if _, err := feed.DecodeState("hv1", append(data, 0)); err == nil {
			t.Fatal("lengthened: accepted")
		}
	})
}

func TestChunksMakeTheView(t *testing.T) {
	want := policy.NewView()
	want.Revision = 7
	for n := range 2*feed.ChunkWeight + 1 {
		id := fmt.Sprint("m", n)
		want.Members[id] = &policy.Member{Instance: id, Organization: "o", Groups: []string{"g"}}
	}
	want.Groups["g"] = &policy.Group{ID: "g", Organization: "o", Name: "g", Rules: make([]gabion.Rule, feed.ChunkWeight)}

	deltas := feed.Chunks(want)
	if len(deltas) != 4 {
		t.Errorf("got %d chunks, want 4: one of the large group, three of members", len(deltas))
	}
	got := policy.NewView()
	for _, d := range deltas {
		got.Apply(d)
	}
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Error(diff)
	}
}

// good is a delta in which everything is as it should be.
func good() *feedpb.Delta {
	return &feedpb.Delta{
		Revision: 3,
		Groups: []*feedpb.Group{{
			Id: "g", Organization: "o", Name: "web", Sources: [][]byte{{192, 0, 2, 0, 24}},
			Rules: []*feedpb.Rule{
				{Id: "r1", Protocol: 6, StartPort: 80, EndPort: 80, Network: []byte{0, 0, 0, 0, 0}},
				{Id: "r2", Direction: 1, Protocol: 1, IcmpType: 8, IcmpCode: -1, PeerGroup: "g"},
			},
		}},
		Members: []*feedpb.Member{{Instance: "i", Organization: "o", Addresses: [][]byte{{10, 0, 0, 1}}, Groups: []string{"a", "b"}}},
		Instances: []*feedpb.Instance{{
			Id: "i", Organization: "o", Name: "one", Groups: []string{"g"},
			Nics: []*feedpb.NIC{{Interface: "tap0", Mac: []byte{2, 0, 0, 0, 0, 1}, Addresses: [][]byte{{10, 0, 0, 1}}}},
		}},
		GoneGroups: []string{"x"},
	}
}

func TestDecodeRefuses(t *testing.T) {
	if _, err := feed.DecodeDelta("hv1", good()); err != nil {
		t.Fatalf("the rows below differ in one thing from a good delta, which is refused itself: %v", err)
	}
	mapped := netip.MustParseAddr("::ffff:10.0.0.1").AsSlice()
	for name, damage := range map[string]func(d *feedpb.Delta){
		"no revision":            func(d *feedpb.Delta) { d.Revision = 0 },
		"negative revision":      func(d *feedpb.Delta) { d.Revision = -1 },
		"gone without id":        func(d *feedpb.Delta) { d.GoneGroups[0] = "" },
		"endless id":             func(d *feedpb.Delta) { d.GoneGroups[0] = strings.Repeat("x", 256) },
		"group without id":       func(d *feedpb.Delta) { d.Groups[0].Id = "" },
		"group of nobody":        func(d *feedpb.Delta) { d.Groups[0].Organization = "" },
		"group without name":     func(d *feedpb.Delta) { d.Groups[0].Name = "" },
		"source too short":       func(d *feedpb.Delta) { d.Groups[0].Sources[0] = []byte{1, 2, 3} },
		"source empty":           func(d *feedpb.Delta) { d.Groups[0].Sources[0] = nil },
		"source with host bits":  func(d *feedpb.Delta) { d.Groups[0].Sources[0] = []byte{192, 0, 2, 1, 24} },
		"source too long":        func(d *feedpb.Delta) { d.Groups[0].Sources[0] = []byte{192, 0, 2, 0, 33} },
		"source mapped":          func(d *feedpb.Delta) { d.Groups[0].Sources[0] = append(mapped, 128) },
		"rules out of order":     func(d *feedpb.Delta) { slices.Reverse(d.Groups[0].Rules) },
		"rule twice":             func(d *feedpb.Delta) { d.Groups[0].Rules[1].Id = "r1" },
		"rule without id":        func(d *feedpb.Delta) { d.Groups[0].Rules[0].Id = "" },
		"third direction":        func(d *feedpb.Delta) { d.Groups[0].Rules[0].Direction = 2 },
		"direction overflows":    func(d *feedpb.Delta) { d.Groups[0].Rules[0].Direction = 256 },
		"unknown protocol":       func(d *feedpb.Delta) { d.Groups[0].Rules[0].Protocol = 7 },
		"protocol overflows":     func(d *feedpb.Delta) { d.Groups[0].Rules[0].Protocol = 256 + 6 },
		"port overflows":         func(d *feedpb.Delta) { d.Groups[0].Rules[0].EndPort = 65536 + 80 },
		"ports reversed":         func(d *feedpb.Delta) { d.Groups[0].Rules[0].StartPort = 81 },
		"one port":               func(d *feedpb.Delta) { d.Groups[0].Rules[0].StartPort = 0 },
		"ports of icmp":          func(d *feedpb.Delta) { d.Groups[0].Rules[1].StartPort = 1 },
		"icmp of tcp":            func(d *feedpb.Delta) { d.Groups[0].Rules[0].IcmpType = 8 },
		"icmp code without type": func(d *feedpb.Delta) { d.Groups[0].Rules[1].IcmpType, d.Groups[0].Rules[1].IcmpCode = -1, 0 },
		"icmp type too large":    func(d *feedpb.Delta) { d.Groups[0].Rules[1].IcmpType = 256 },
		"two peers":              func(d *feedpb.Delta) { d.Groups[0].Rules[0].PeerGroup = "g" },
		"no peer":                func(d *feedpb.Delta) { d.Groups[0].Rules[0].Network = nil },
		"member without id":      func(d *feedpb.Delta) { d.Members[0].Instance = "" },
		"member of nobody":       func(d *feedpb.Delta) { d.Members[0].Organization = "" },
		"member of no group":     func(d *feedpb.Delta) { d.Members[0].Groups = nil },
		"member's groups":        func(d *feedpb.Delta) { d.Members[0].Groups = []string{"b", "a"} },
		"member's group twice":   func(d *feedpb.Delta) { d.Members[0].Groups = []string{"a", "a"} },
		"member's address":       func(d *feedpb.Delta) { d.Members[0].Addresses[0] = []byte{1} },
		"member's mapped":        func(d *feedpb.Delta) { d.Members[0].Addresses[0] = mapped },
		"instance without id":    func(d *feedpb.Delta) { d.Instances[0].Id = "" },
		"instance of nobody":     func(d *feedpb.Delta) { d.Instances[0].Organization = "" },
		"instance of no group":   func(d *feedpb.Delta) { d.Instances[0].Groups = nil },
		"instance's group twice": func(d *feedpb.Delta) { d.Instances[0].Groups = []string{"g", "g"} },
		"interface is a path":    func(d *feedpb.Delta) { d.Instances[0].Nics[0].Interface = "../x" },
		"interface too long":     func(d *feedpb.Delta) { d.Instances[0].Nics[0].Interface = strings.Repeat("x", 16) },
		"MAC too short":          func(d *feedpb.Delta) { d.Instances[0].Nics[0].Mac = []byte{2} },
		"MAC too long":           func(d *feedpb.Delta) { d.Instances[0].Nics[0].Mac = make([]byte, 7) },
		"MAC of a group":         func(d *feedpb.Delta) { d.Instances[0].Nics[0].Mac[0] = 1 },
		"address of no family":   func(d *feedpb.Delta) { d.Instances[0].Nics[0].Addresses[0] = make([]byte, 5) },
		"multicast address":      func(d *feedpb.Delta) { d.Instances[0].Nics[0].Addresses[0] = []byte{224, 0, 0, 1} },
		"address twice": func(d *feedpb.Delta) {
			nic := d.Instances[0].Nics[0]
			nic.Addresses = append(nic.Addresses, nic.Addresses[0])
		},
		"too many addresses": func(d *feedpb.Delta) {
			nic := d.Instances[0].Nics[0]
			for n := range byte(gabion.MaxAddressesPerNIC) {
				nic.Addresses = append(nic.Addresses, []byte{10, 0, 1, n})
			}
		},
	} {
		d := good()
		damage(d)
		if got, err := feed.DecodeDelta("hv1", d); err == nil {
			t.Errorf("%s: accepted as %+v", name, got)
		}
	}
}

func FuzzMessageOfServer(f *testing.F) {
	for _, m := range []*feedpb.ServerMessage{
		{Message: &feedpb.ServerMessage_Delta{Delta: good()}},
		{Message: &feedpb.ServerMessage_SnapshotBegin{SnapshotBegin: &feedpb.SnapshotBegin{StoreEpoch: "e"}}},
		{Message: &feedpb.ServerMessage_InSync{InSync: &feedpb.InSync{StoreEpoch: "e", Revision: 3}}},
		{},
	} {
		frame, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame)
	}
	host := feed.ClientConfig{Identity: identity(f, newCA(f), "hv1"), Held: feed.Position{Epoch: "e", Revision: 2}, Receiver: feed.Nobody{}}
	f.Fuzz(func(t *testing.T, frame []byte) {
		var m feedpb.ServerMessage
		if proto.Unmarshal(frame, &m) != nil {
			return
		}
		if feed.Take(&host, &m) != nil || m.GetDelta() == nil {
			return
		}
		// What is accepted is sound: it comes back the same.
		d, err := feed.DecodeDelta("hv1", m.GetDelta())
		if err != nil {
			t.Fatal(err)
		}
		again, err := feed.DecodeDelta("hv1", feed.EncodeDelta(d))
		if err != nil {
			t.Fatalf("accepted, and refused when sent on: %v", err)
		}
		if diff := cmp.Diff(d, again, same); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzState(f *testing.F) {
	state := feed.State{Epoch: "e", View: policy.NewView()}
	state.View.Revision = 1
	data, _, err := state.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = feed.DecodeState("hv1", data)
	})
}
