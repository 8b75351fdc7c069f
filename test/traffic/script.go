// Package traffic makes up courses of events on one host: organizations, groups,
// rules and instances that change, and frames that meet them, most of them nearly
// right. The same seed makes up the same script. It must not know what judges them.
package traffic

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
)

// Host is the host on which a script happens.
const Host = "here"

// Unknown is an interface that no instance has.
const Unknown = "lo"

// Script is a course of events, told whole: any part of it is a script too.
type Script struct {
	Config policy.Config
	Start  time.Duration // of the monotonic clock
	Steps  []Step
}

// Step is one event. Time passes before it.
type Step struct {
	Wait    time.Duration
	Change  *policy.Change   // objects change,
	One     bool             // by one call of the API, or
	Collect bool             // expired flows are collected, or
	Frame   []byte           // a frame meets
	NIC     string           // the NIC of this interface
	Way     gabion.Direction // egress if the instance sends it
	Several bool             // the frame stands for several
}

func (s Step) String() string {
	switch {
	case s.Change != nil:
		return fmt.Sprintf("after %s: change to revision %d: %s", s.Wait, s.Change.Revision, describe(s.Change))
	case s.Collect:
		return fmt.Sprintf("after %s: collect", s.Wait)
	}
	text := fmt.Sprintf("after %s: %s %s %x", s.Wait, s.NIC, s.Way, s.Frame)
	if s.Several {
		text += " for several"
	}
	return text
}

func describe(c *policy.Change) string {
	text := ""
	for _, g := range c.Groups {
		text += fmt.Sprintf("group %+v; ", *g)
	}
	for _, r := range c.Rules {
		text += fmt.Sprintf("rule %s in %s: %s; ", r.ID, r.Group, r.Key())
	}
	for _, i := range c.Instances {
		text += fmt.Sprintf("instance %+v; ", *i)
	}
	return text + fmt.Sprintf("gone %v %v %v", c.GoneGroups, c.GoneRules, c.GoneInstances)
}

// frames is how many frames a script holds, and changesEvery how many meet one policy.
const (
	frames       = 3000
	changesEvery = 300
)

// New makes up the script of that seed and number.
func New(seed, number uint64) *Script {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, number))}
	g.zone = newZone(g.Rand)
	s := &Script{Config: g.config(), Start: g.start(), Steps: []Step{{Change: g.zone.begin()}}}
	if s.Start < time.Millisecond {
		g.flood(g.zone.anyNIC())
	}
	for n := range frames {
		if n%changesEvery == changesEvery-1 {
			s.Steps = append(s.Steps, g.change()...)
		}
		s.Steps = append(s.Steps, g.step())
	}
	return s
}

// change is what changes, amid the fragments of an ICMP error.
func (g *generator) change() []Step {
	before, after := g.straddle()
	g.hurry(after)
	return append(before, g.zone.change())
}

// generator is what a script is made up by.
type generator struct {
	*rand.Rand
	zone          *zone
	conversations []*conversation
	waiting       []Step // pieces of datagrams that are still to come
	rush          int    // how many of them come at once
}

// MaxFlows is how many settled flows a NIC has room for.
const MaxFlows = 8

// config names servers and routers every other time, so that most of what is sent
// comes from one of them.
func (g *generator) config() policy.Config {
	c := policy.Config{MaxFlows: MaxFlows}
	if g.IntN(2) == 0 {
		c.DHCPServers = []netip.Addr{away4(0), away4(1), away6(0), gateway.LinkLocal()}
		c.Routers = []netip.Addr{gateway.LinkLocal(), router}
	}
	return c
}

// start is mostly any time in a host's life; some scripts begin with it, when no
// allowance is there yet, and some shortly before the ticks wrap.
func (g *generator) start() time.Duration {
	const wrap = time.Duration(1) << 52
	switch g.IntN(8) {
	case 0:
		return time.Duration(g.IntN(int(time.Millisecond)))
	case 1:
		return wrap - time.Duration(g.IntN(int(time.Minute)))
	}
	return time.Duration(g.Int64N(int64(wrap)))
}

// pause is mostly short; now and then it meets the timeouts.
func (g *generator) pause() time.Duration {
	switch n := g.IntN(3000); {
	case n < 2950:
		return time.Duration(g.IntN(int(200 * time.Microsecond)))
	case n < 2980:
		return time.Duration(g.IntN(int(4 * time.Second)))
	case n < 2995:
		return time.Duration(g.IntN(int(70 * time.Second)))
	case n < 2999:
		return time.Duration(g.IntN(int(700 * time.Second)))
	}
	return time.Duration(g.IntN(int(9000 * time.Second)))
}

// step is the next frame, or rarely a collection.
func (g *generator) step() Step {
	if g.IntN(400) == 0 {
		return Step{Wait: g.pause(), Collect: true}
	}
	if g.rush > 0 {
		return g.nextOfRush()
	}
	var s Step
	if len(g.waiting) > 0 && g.IntN(10) < 7 {
		s = g.nextWaiting()
	} else {
		s = g.frame()
	}
	s.Wait = g.pause()
	s.Several = g.IntN(25) == 0
	if g.IntN(12) == 0 {
		s.Frame = g.mutate(s.Frame)
	}
	if g.IntN(300) == 0 {
		s.NIC = Unknown
	}
	return s
}

func (g *generator) nextWaiting() Step {
	s := g.waiting[0]
	g.waiting = g.waiting[1:]
	return s
}

// frame is a frame of one of the kinds there are, each as often as it needs to be
// for everything to happen.
func (g *generator) frame() Step {
	n := g.zone.anyNIC()
	way := gabion.Direction(g.IntN(2))
	switch k := g.IntN(100); {
	case k < 1:
		return g.storm(n)
	case k < 2:
		return g.adopt(n)
	case k < 52:
		return g.talk()
	case k < 60:
		return g.quote()
	case k < 68:
		return g.divide()
	case k < 74:
		return g.zone.step(n, way, g.arp(n, way))
	case k < 82:
		return g.zone.step(n, way, g.neighbour(n, way))
	case k < 87:
		return g.zone.step(n, way, g.dhcp(n, way))
	case k < 92:
		return g.extend()
	case k < 97:
		return g.misaddress()
	}
	return g.zone.step(n, way, g.noise(n, way))
}

// pick is one of the values.
func pick[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// mostly is right, but for one time in n, when it is one of the others.
func mostly[T any](r *rand.Rand, n int, right T, others ...T) T {
	if r.IntN(n) > 0 {
		return right
	}
	return pick(r, others...)
}
