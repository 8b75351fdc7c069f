package agent_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/hypervisor"
	"github.com/gabion/gabion/internal/policy"
)

// script decides what is changed and what fails. Only it draws from the cluster's
// random numbers, so a seed always makes the same script.
type script struct {
	*cluster
	now       objects // what the script believes is in the store
	backup    objects
	made      int
	succeeded int
}

// build makes organizations, groups, rules and instances, and starts the agents.
func (p *script) build() {
	p.now, p.backup = noObjects(), noObjects()
	for range 5 {
		p.write(p.newGroup())
	}
	for range 8 {
		p.write(p.newInstance())
		p.write(p.newRule())
	}
	p.backUp()
	for _, n := range p.nodes {
		n.start()
	}
}

func (p *script) backUp() {
	p.store.backUp()
	p.backup = p.now.clone()
	p.note("backup")
}

// restore does as the operator is told: while servers run, no store is restored.
func (p *script) restore() {
	for _, s := range p.servers {
		s.kill()
	}
	p.store.restore()
	p.now = p.backup.clone()
	p.note("backup restored, while no server runs")
}

// act does one thing.
func (p *script) act() {
	acts := []struct {
		weight int
		do     func()
	}{
		{60, func() { p.write(p.anyChange()) }},
		{8, p.touchAgent},
		{4, p.touchServer},
		{6, p.touchNetwork},
		{5, p.touchStore},
		{5, p.touchKernel},
		{2, func() { p.store.compact(p.rng.IntN(8)); p.note("history compacted") }},
		{1, p.backUp},
		{1, p.restore},
	}
	pick := p.rng.IntN(92)
	for _, a := range acts {
		if pick -= a.weight; pick < 0 {
			a.do()
			return
		}
	}
}

// write commits a change, and sometimes waits for its operation.
func (p *script) write(c policy.Change, what string) {
	epoch, _ := p.store.newest()
	revision := p.store.commit(c)
	p.now.apply(c)
	p.note("revision %d: %s", revision, what)
	if p.rng.IntN(2) == 0 {
		return
	}
	s := p.servers[p.rng.IntN(len(p.servers))]
	if f := s.current(); f != nil {
		p.asked.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			if len(f.Await(ctx, revision)) == 0 {
				p.success(s.name, epoch, revision)
			}
		})
	}
}

// success holds that whoever was told success finds every host enforcing.
func (p *script) success(server string, epoch int, revision int64) {
	if now, _ := p.store.newest(); now != epoch {
		return // the change was undone by a restore
	}
	for _, n := range p.nodes {
		concerned := p.store.at(epoch, n.name, revision) != p.store.at(epoch, n.name, revision-1)
		if concerned && !n.kernel.holds(epoch, revision) {
			p.violated("%s says that revision %d is enforced, and %s does not enforce it", server, revision, n.name)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.succeeded++
}

func (p *script) node() *node { return p.nodes[p.rng.IntN(len(p.nodes))] }

func (p *script) touchAgent() {
	n := p.node()
	if n.stop == nil {
		p.note("%s: agent starts", n.name)
		n.start()
		return
	}
	p.note("%s: agent is killed", n.name)
	n.stop()
	if p.rng.IntN(2) == 0 {
		n.start()
	}
}

func (p *script) touchServer() {
	s := p.servers[p.rng.IntN(len(p.servers))]
	if s.current() == nil {
		p.note("%s starts", s.name)
		s.start()
		return
	}
	p.note("%s is killed", s.name)
	s.kill()
}

func (p *script) touchNetwork() {
	n := p.node()
	if p.rng.IntN(2) == 0 {
		away := p.rng.IntN(2) == 0
		p.note("%s: connection cut, away %t", n.name, away)
		n.setAway(away)
		n.cut()
		return
	}
	up, down := p.rng.IntN(2) == 0, p.rng.IntN(2) == 0
	p.note("%s: network frozen up %t, down %t", n.name, up, down)
	n.freeze(up, down)
}

func (p *script) touchStore() {
	s := p.servers[p.rng.IntN(len(p.servers))]
	away, slow := p.rng.IntN(3) == 0, time.Duration(0)
	if p.rng.IntN(3) == 0 {
		slow = time.Duration(p.rng.Int64N(int64(3 * time.Second)))
	}
	p.note("%s: store away %t, slow %s", s.name, away, slow)
	s.store.setAway(away)
	s.store.setSlow(slow)
}

func (p *script) touchKernel() {
	n := p.node()
	failing, slow := p.rng.IntN(3) == 0, time.Duration(0)
	if p.rng.IntN(2) == 0 {
		slow = time.Duration(p.rng.Int64N(int64(2 * time.Second)))
	}
	p.note("%s: kernel failing %t, slow %s", n.name, failing, slow)
	n.kernel.set(func(k *kernel) { k.failing, k.slow = failing, slow })
}

// anyChange is a change of the kinds that people make.
func (p *script) anyChange() (policy.Change, string) {
	switch p.rng.IntN(8) {
	case 0, 1:
		return p.newRule()
	case 2:
		return p.lessRules()
	case 3:
		return p.newInstance()
	case 4:
		return p.lessInstances()
	case 5:
		return p.otherSources()
	default:
		return p.otherInstance()
	}
}

func (p *script) id(kind string) string {
	p.made++
	return fmt.Sprintf("%s-%d", kind, p.made)
}

func (p *script) newGroup() (policy.Change, string) {
	g := &gabion.Group{ID: p.id("group"), Organization: "org" + string('1'+byte(p.made%2))}
	g.Name = g.ID
	return policy.Change{Groups: []*gabion.Group{g}}, "new " + g.ID
}

// pick is one of the map's objects; the script has to be the same each time.
func pick[T any](p *script, all map[string]*T) *T {
	keys := make([]string, 0, len(all))
	for key := range all {
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil
	}
	slices.Sort(keys)
	return all[keys[p.rng.IntN(len(keys))]]
}

// mate is a group of the same organization, maybe the same.
func (p *script) mate(org string) string {
	for {
		if g := pick(p, p.now.groups); g.Organization == org {
			return g.ID
		}
	}
}

func (p *script) newRule() (policy.Change, string) {
	g := pick(p, p.now.groups)
	port := uint16(1 + p.rng.IntN(1000))
	r := &gabion.Rule{
		ID: p.id("rule"), Group: g.ID, Protocol: gabion.TCP, Ports: gabion.PortRange{Start: port, End: port},
		Direction: gabion.Ingress,
	}
	if p.rng.IntN(4) == 0 {
		r.Direction = gabion.Egress
	}
	if p.rng.IntN(3) == 0 {
		r.Peer.Network = p.network()
	} else {
		r.Peer.Group = p.mate(g.Organization)
	}
	return policy.Change{Rules: []*gabion.Rule{r}}, "new " + r.ID + " of " + g.ID
}

func (p *script) network() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, byte(p.rng.IntN(256)), 0}), 24)
}

func (p *script) lessRules() (policy.Change, string) {
	r := pick(p, p.now.rules)
	if r == nil {
		return p.newRule()
	}
	return policy.Change{GoneRules: []string{r.ID}}, "no " + r.ID
}

func (p *script) newInstance() (policy.Change, string) {
	id := p.id("instance")
	g := pick(p, p.now.groups)
	i := &gabion.Instance{
		ID: id, Name: id, Organization: g.Organization, Host: p.node().name, Groups: []string{g.ID},
		NICs: []gabion.NIC{{Interface: "tap", MAC: gabion.MAC{2, 0, 0, 0, byte(p.made >> 8), byte(p.made)}, Addresses: []netip.Addr{p.address()}}},
	}
	i.NICs[0].Interface = fmt.Sprintf("tap%d", p.made)
	p.plug(i)
	return policy.Change{Instances: []*gabion.Instance{i}}, "new " + id + " on " + i.Host
}

func (p *script) address() netip.Addr {
	return netip.AddrFrom4([4]byte{10, 0, byte(p.rng.IntN(256)), byte(p.rng.IntN(256))})
}

// plug lets the instance's interface be there.
func (p *script) plug(i *gabion.Instance) {
	for _, n := range p.nodes {
		if n.name == i.Host {
			n.plug(i.NICs[0].Interface)
		}
	}
}

func (n *node) plug(name string) {
	n.host.mu.Lock()
	defer n.host.mu.Unlock()
	n.host.links[name] = hypervisor.Link{Name: name, Index: 10 + len(n.host.links), Up: true}
}

func (p *script) lessInstances() (policy.Change, string) {
	i := pick(p, p.now.instances)
	if i == nil {
		return p.newInstance()
	}
	return policy.Change{GoneInstances: []string{i.ID}}, "no " + i.ID
}

// otherInstance moves an instance, or gives it other groups or another address.
func (p *script) otherInstance() (policy.Change, string) {
	was := pick(p, p.now.instances)
	if was == nil {
		return p.newInstance()
	}
	i := *was
	what := ""
	switch p.rng.IntN(3) {
	case 0:
		i.Host = p.node().name
		p.plug(&i)
		what = "on " + i.Host
	case 1:
		i.Groups = slices.Compact(slices.Sorted(slices.Values([]string{p.mate(i.Organization), p.mate(i.Organization)})))
		what = fmt.Sprint("in ", i.Groups)
	default:
		i.NICs = slices.Clone(i.NICs)
		i.NICs[0].Addresses = []netip.Addr{p.address()}
		what = fmt.Sprint("has ", i.NICs[0].Addresses)
	}
	return policy.Change{Instances: []*gabion.Instance{&i}}, i.ID + " " + what
}

func (p *script) otherSources() (policy.Change, string) {
	g := *pick(p, p.now.groups)
	g.Sources = []netip.Prefix{p.network()}
	return policy.Change{Groups: []*gabion.Group{&g}}, g.ID + " has another source"
}
