package datapath

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
)

// Compile makes the maps' content of a view, for the interfaces that exist now
// (links: ifindex by name). It is pure: the result depends on its arguments alone.
//
// What can't be enforced as it is written is left out, which drops, and named in
// Refused: one bad object never keeps the others from being updated. A set of groups
// that does not fit keeps what it had, and is named in Stale. An error means that the
// host's policy as a whole does not fit, and that nothing of it may be written.
func Compile(view *policy.View, links map[string]int, numbers Numbers, limits Limits, standing Standing) (*Tables, error) {
	c := &compiler{
		view: view, links: links, numbers: numbers, limits: limits, standing: standing,
		tables: NewTables(),
		origin: &policy.View{Revision: view.Revision, Groups: maps.Clone(view.Groups)},
		peers:  map[string]uint32{},
		named:  map[string]uint32{},
		nets:   map[string]uint32{},
		groups: map[viewedGroup]*groupRules{},
		sets:   map[string]uint32{},
	}
	for _, id := range slices.Sorted(maps.Keys(view.Instances)) {
		if err := c.instance(view.Instances[id]); err != nil {
			return nil, err
		}
	}
	if err := c.compileMembers(); err != nil {
		return nil, err
	}
	return c.tables, nil
}

type compiler struct {
	view     *policy.View
	links    map[string]int
	numbers  Numbers
	limits   Limits
	standing Standing

	tables *Tables
	origin *policy.View      // the view's groups as they are now, for Tables.Origins
	peers  map[string]uint32 // number by id: groups that a rule names as peer
	named  map[string]uint32 // those of them whose rule is to be in force
	nets   map[string]uint32 // number by id: organizations that have a NIC here
	groups map[viewedGroup]*groupRules
	sets   map[string]uint32 // policy set by sorted group ids
}

// viewedGroup is a group as it is in a view.
type viewedGroup struct {
	view *policy.View
	id   string
}

func (c *compiler) refuse(format string, args ...any) {
	c.tables.Refused = append(c.tables.Refused, fmt.Errorf(format, args...))
}

// instance adds the instance's NICs whose interfaces exist.
func (c *compiler) instance(i *gabion.Instance) error {
	for n := range i.NICs {
		ifindex, exists := c.links[i.NICs[n].Interface]
		if !exists {
			continue
		}
		if reason := c.unfit(i, &i.NICs[n], ifindex); reason != "" {
			c.refuse("leave instance %s without network on %s: %s", i.ID, i.NICs[n].Interface, reason)
			continue
		}
		if err := c.nic(i, &i.NICs[n], uint32(ifindex)); err != nil {
			return err
		}
	}
	return nil
}

// unfit says what keeps a NIC from having a network at all.
func (c *compiler) unfit(i *gabion.Instance, n *gabion.NIC, ifindex int) string {
	var v4, v6 int
	for _, a := range n.Addresses {
		switch {
		case a.Is4():
			v4++
		case a.Is6() && !a.Is4In6():
			v6++
		default:
			return "an address is neither IPv4 nor IPv6"
		}
	}
	if max(v4, v6) > addressesPerFamily {
		return fmt.Sprintf("it has more than %d addresses of a family", addressesPerFamily)
	}
	if _, err := c.view.Held(i); err != nil {
		return err.Error()
	}
	if _, taken := c.tables.NICs[uint32(ifindex)]; taken {
		return "another instance has the interface"
	}
	return ""
}

func (c *compiler) nic(i *gabion.Instance, n *gabion.NIC, ifindex uint32) error {
	net, err := c.net(i.Organization)
	if err != nil {
		return err
	}
	set, err := c.policySet(i.Groups)
	if err != nil {
		return err
	}
	// A recreated interface has another ifindex: it starts with no flows.
	slot, err := c.number(KindNIC, fmt.Sprintf("%s %s %d", i.ID, n.Interface, ifindex))
	if err != nil {
		return err
	}
	c.tables.NICs[ifindex] = nicOf(n, NIC{Ifindex: ifindex, Slot: slot, PolicySet: set, Net: net})
	c.tables.Slots[slot] = Owner{Instance: i.ID, Interface: n.Interface}
	return nil
}

// nicOf completes a NIC by its addresses.
func nicOf(n *gabion.NIC, nic NIC) NIC {
	nic.Mac = n.MAC
	for _, a := range n.Addresses {
		if a.Is4() {
			nic.Addr4[nic.N4] = inMemory(a.As4())
			nic.N4++
		} else {
			nic.Addr6[nic.N6] = addressOf(a)
			nic.N6++
		}
	}
	return nic
}

func (c *compiler) number(k Kind, name string) (uint32, error) {
	return c.numbers.Number(k, digest([]byte(name)))
}

func (c *compiler) net(organization string) (uint32, error) {
	return memo(c.nets, organization, func() (uint32, error) { return c.number(KindNet, organization) })
}

func (c *compiler) peer(id string) (uint32, error) {
	return memo(c.peers, id, func() (uint32, error) { return c.number(KindGroup, id) })
}

// policySet gives the number of a set of groups, and compiles it the first time.
func (c *compiler) policySet(ids []string) (uint32, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	key := strings.Join(ids, " ")
	return memo(c.sets, key, func() (uint32, error) {
		number, err := c.number(KindPolicySet, key)
		if err != nil {
			return 0, err
		}
		c.tables.PolicySets[number], err = c.compileFitting(namedSet{ids, key, number})
		return number, err
	})
}

func memo[K comparable, V any](known map[K]V, key K, find func() (V, error)) (V, error) {
	if v, ok := known[key]; ok {
		return v, nil
	}
	v, err := find()
	if err == nil {
		known[key] = v
	}
	return v, err
}
