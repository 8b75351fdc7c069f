package hypervisor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The belt is a table of nftables that keeps bridges from forwarding what comes
// from, or goes to, an interface of an instance that was not admitted. Interfaces
// are known to it by name, since a new one has no number before it is there; that
// one was admitted shows in its group of interfaces, which a new one never has:
//
//	table bridge gabion {
//	  set instances { type ifname; }
//	  chain from     { type filter hook prerouting priority raw; iifgroup != 26466 iifname @instances counter drop; }
//	  chain to       { type filter hook forward priority raw; oifgroup != 26466 oifname @instances counter drop; }
//	  chain to-from-host { type filter hook output priority raw; as in to }
//	}
//
// An admitted interface costs one comparison of a number at each end, any other one
// look-up. Dropping what comes before the bridge sees it keeps a stranger's addresses
// out of the bridge's memory, too.
const beltName = "gabion"

// Belt says what the belt holds back while it is not admitted.
type Belt struct {
	Names    []string // interfaces
	Prefixes []string // beginnings of names of interfaces
}

func (b Belt) equal(other Belt) bool {
	return slices.Equal(b.Names, other.Names) && slices.Equal(b.Prefixes, other.Prefixes)
}

// fastened is the belt as we last wrote it, and what the kernel called that state of
// all its tables.
type fastened struct {
	belt       Belt
	generation uint32 // 0: not known
	rules      int
}

// FastenBelt puts the belt in force, in one transaction, if it is not so already. It
// tells whether something else had loosened or altered the one that we put there.
func (h *Hypervisor) FastenBelt(b Belt) (tampered bool, err error) {
	generation, err := nftGeneration()
	if err != nil {
		return false, err
	}
	same := h.belt.generation != 0 && h.belt.belt.equal(b)
	if same && generation == h.belt.generation {
		return false, nil
	}
	if h.belt.generation != 0 && generation != h.belt.generation {
		intact, err := h.isBeltIntact()
		if err != nil {
			return false, err
		}
		if tampered = !intact; same && intact {
			h.belt.generation = generation
			return false, nil
		}
	}
	return tampered, h.writeBelt(b)
}

// writeBelt replaces the table. What changed between the two readings of the
// generation is looked at next time.
func (h *Hypervisor) writeBelt(b Belt) error {
	before, err := nftGeneration()
	if err != nil {
		return err
	}
	c := &nftables.Conn{}
	t := &nftables.Table{Name: beltName, Family: nftables.TableFamilyBridge}
	c.AddTable(t)
	c.DelTable(t) // adding first makes deleting no error
	c.AddTable(t)
	rules, err := addBelt(c, t, b)
	if err == nil {
		err = c.Flush()
	}
	if err != nil {
		h.belt.generation = 0
		return fmt.Errorf("fasten the belt of bridges: %w", err)
	}
	h.belt = fastened{belt: b, generation: before + 1, rules: rules}
	return nil
}

// addBelt tells how many rules there are.
func addBelt(c *nftables.Conn, t *nftables.Table, b Belt) (rules int, err error) {
	names, err := addNames(c, t, b.Names)
	if err != nil {
		return 0, err
	}
	for _, hook := range beltHooks {
		chain := c.AddChain(&nftables.Chain{
			Name: hook.name, Table: t, Type: nftables.ChainTypeFilter, Hooknum: hook.at, Priority: nftables.ChainPriorityRaw,
		})
		add := func(match expr.Any) {
			c.AddRule(&nftables.Rule{Table: t, Chain: chain, Exprs: hook.drop(match)})
			rules++
		}
		add(&expr.Lookup{SourceRegister: 1, SetName: names.Name, SetID: names.ID})
		for _, prefix := range b.Prefixes {
			add(&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte(prefix)})
		}
	}
	return rules, nil
}

// beltMessage is how many names one message holds: its parts are 64 KB at most.
const beltMessage = 1000

func addNames(c *nftables.Conn, t *nftables.Table, names []string) (*nftables.Set, error) {
	set := &nftables.Set{Table: t, Name: "instances", KeyType: nftables.TypeIFName}
	if err := c.AddSet(set, nil); err != nil {
		return nil, err
	}
	for part := range slices.Chunk(names, beltMessage) {
		elements := make([]nftables.SetElement, len(part))
		for i, name := range part {
			elements[i].Key = ifname(name)
		}
		if err := c.SetAddElements(set, elements); err != nil {
			return nil, err
		}
	}
	return set, nil
}

// beltHook is where frames are looked at, and by which of their interfaces.
type beltHook struct {
	name        string
	at          *nftables.ChainHook
	group, link expr.MetaKey
}

var beltHooks = []beltHook{
	{"from", nftables.ChainHookPrerouting, expr.MetaKeyIIFGROUP, expr.MetaKeyIIFNAME},
	{"to", nftables.ChainHookForward, expr.MetaKeyOIFGROUP, expr.MetaKeyOIFNAME},
	{"to-from-host", nftables.ChainHookOutput, expr.MetaKeyOIFGROUP, expr.MetaKeyOIFNAME},
}

// drop drops and counts what match holds for and what was not admitted.
func (b beltHook) drop(match expr.Any) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: b.group, Register: 1},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: binary.NativeEndian.AppendUint32(nil, admitted)},
		&expr.Meta{Key: b.link, Register: 1},
		match,
		&expr.Counter{},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}
}

func ifname(name string) []byte {
	key := make([]byte, unix.IFNAMSIZ)
	copy(key, name)
	return key
}

// LoosenBelt takes the belt off; it is no error if there is none.
func (h *Hypervisor) LoosenBelt() error {
	c := &nftables.Conn{}
	t := &nftables.Table{Name: beltName, Family: nftables.TableFamilyBridge}
	there, err := hasBelt(c)
	if err != nil || !there {
		return err
	}
	c.DelTable(t)
	if err := c.Flush(); err != nil {
		return fmt.Errorf("loosen the belt of bridges: %w", err)
	}
	h.belt = fastened{}
	return nil
}

func hasBelt(c *nftables.Conn) (bool, error) {
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyBridge)
	if err != nil {
		return false, fmt.Errorf("list tables of nftables: %w", err)
	}
	return slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == beltName }), nil
}

// isBeltIntact compares the table with the one that we wrote: its names, and the
// number of its rules at each hook.
func (h *Hypervisor) isBeltIntact() (bool, error) {
	c := &nftables.Conn{}
	t := &nftables.Table{Name: beltName, Family: nftables.TableFamilyBridge}
	if there, err := hasBelt(c); err != nil || !there {
		return false, err
	}
	rules := 0
	for _, hook := range beltHooks {
		found, err := c.GetRules(t, &nftables.Chain{Name: hook.name, Table: t})
		if errors.Is(err, unix.ENOENT) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("list rules of the belt: %w", err)
		}
		rules += len(found)
	}
	names, err := beltNames(c, t)
	if err != nil {
		return false, err
	}
	return rules == h.belt.rules && slices.Equal(names, h.belt.belt.Names), nil
}

func beltNames(c *nftables.Conn, t *nftables.Table) ([]string, error) {
	set, err := c.GetSetByName(t, "instances")
	if err != nil {
		return nil, fmt.Errorf("read names in the belt: %w", err)
	}
	elements, err := c.GetSetElements(set)
	if err != nil {
		return nil, fmt.Errorf("read names in the belt: %w", err)
	}
	names := make([]string, len(elements))
	for i, e := range elements {
		names[i] = unix.ByteSliceToString(e.Key)
	}
	slices.Sort(names)
	return names, nil
}

// nftGeneration is the kernel's number for the state of all tables in the network
// namespace. Every transaction adds one.
func nftGeneration() (uint32, error) {
	request := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETGEN, 0)
	request.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_UNSPEC, Version: nl.NFNETLINK_V0})
	messages, err := request.Execute(unix.NETLINK_NETFILTER, unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWGEN)
	if err != nil {
		return 0, fmt.Errorf("ask nftables: %w", err)
	}
	for _, m := range messages {
		attributes, err := nl.ParseRouteAttr(m[nl.SizeofNfgenmsg:])
		if err != nil {
			return 0, fmt.Errorf("ask nftables: %w", err)
		}
		for _, a := range attributes {
			if a.Attr.Type == unix.NFTA_GEN_ID {
				return binary.BigEndian.Uint32(a.Value), nil
			}
		}
	}
	return 0, errors.New("ask nftables: it has no generation")
}
