package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/lab"
	"github.com/gabion/gabion/internal/policy"
)

const (
	fullTable = 65_536
	members   = 100_000
	megabyte  = 1e6
)

// benchMemory measures what the kernel keeps. Maps account for themselves; beside
// it stands what the kernel takes in fact, which rounds up.
func benchMemory(int) (results []Result, err error) {
	fmt.Fprintln(os.Stderr, "memory: a minute")
	l, err := lab.New()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	suites, err := newSuites(l)
	if err != nil {
		return nil, err
	}
	s := &suites[0].scene
	for _, measure := range []func() ([]Result, error){s.flowMemory, s.memberMemory(4), s.memberMemory(6), s.hostMemory} {
		figures, err := measure()
		if err != nil {
			return nil, err
		}
		results = append(results, figures...)
	}
	return results, nil
}

// holding is what maps account for by name, with the maps in them, and what the
// kernel has taken in all, in bytes.
type holding struct {
	maps  map[string]float64
	taken float64
}

func (h holding) total() (sum float64) {
	for _, bytes := range h.maps {
		sum += bytes
	}
	return sum
}

// enforcing calls f while the host enforces a view, with a function that looks what is held.
func (s *scene) enforcing(view *policy.View, f func(look func() (holding, error)) error, names ...string) error {
	p, err := openPurse()
	if err != nil {
		return err
	}
	tearDown, err := s.enforce(view, names...)
	if err != nil {
		return errors.Join(err, p.close())
	}
	err = f(func() (holding, error) {
		maps, errMaps := readAccounts(s.pins())
		taken, err := p.taken()
		return holding{maps, taken}, errors.Join(errMaps, err)
	})
	return errors.Join(err, tearDown(), p.close())
}

// pair is a figure by the maps' account and by what the kernel has taken.
func pair(name string, account, taken float64) []Result {
	return []Result{
		result("memory/"+name, "MB", account/megabyte, 0),
		result("memory/"+name+", taken from the kernel", "MB", taken/megabyte, 0),
	}
}

// flowMemory is a table full of flows: half of what those of two guests take.
func (s *scene) flowMemory() (results []Result, err error) {
	err = s.enforcing(s.view(1), func(look func() (holding, error)) error {
		empty, err := look()
		if err != nil {
			return err
		}
		if err := s.fill(); err != nil {
			return err
		}
		full, err := look()
		results = pair("65,536 flows", full.maps["flows"]/2, (full.taken-empty.taken+empty.maps["flows"])/2)
		return err
	}, s.sender.Interface, s.receiver.Interface)
	return results, err
}

// fill makes as many flows as the tables hold: who asked speaks again after the answer.
func (s *scene) fill() error {
	asking, err := flooderOf(s.sender)
	if err != nil {
		return err
	}
	answering, err := flooderOf(s.receiver)
	if err != nil {
		return errors.Join(err, asking.close())
	}
	here := addressing{s.sender.MAC, s.sending, firstPort}
	there := addressing{s.receiver.MAC, s.receiving, port}
	ports := 1<<16 - firstPort
	for sent := 0; sent < fullTable && err == nil; sent += batch {
		questions, answers := make([][]byte, batch), make([][]byte, batch)
		for i := range batch {
			here.port, there.port = uint16(firstPort+(sent+i)%ports), uint16(port+(sent+i)/ports)
			questions[i], answers[i] = udpFrame(here, there), udpFrame(there, here)
		}
		err = errors.Join(asking.sendAll(questions), answering.sendAll(answers), asking.sendAll(questions))
	}
	return errors.Join(err, asking.close(), answering.close())
}

// memberMemory is what members of a group take that a rule names, beyond what is taken without them.
func (s *scene) memberMemory(version int) func() ([]Result, error) {
	view := s.view(1)
	rule := view.Groups["receiver"].Rules[0]
	rule.ID, rule.Peer = "rule-members", gabion.Peer{Group: "members"}
	view.Groups["receiver"].Rules = append(view.Groups["receiver"].Rules, rule)
	view.Groups["members"] = &policy.Group{ID: "members", Organization: organization, Name: "members"}
	for i := range members {
		id := strconv.Itoa(i)
		view.Members[id] = &policy.Member{Instance: id, Organization: organization, Addresses: []netip.Addr{memberAddress(version, i)}, Groups: []string{"members"}}
	}
	table := "members" + strconv.Itoa(version)
	return func() (results []Result, err error) {
		empty, err := s.held(s.view(1), s.receiver.Interface)
		if err != nil {
			return nil, err
		}
		full, err := s.held(view, s.receiver.Interface)
		name := fmt.Sprintf("100,000 members, IPv%d", version)
		return pair(name, full.maps[table], full.taken-empty.taken+empty.maps[table]), err
	}
}

// held is what a view takes.
func (s *scene) held(view *policy.View, names ...string) (h holding, err error) {
	err = s.enforcing(view, func(look func() (holding, error)) error {
		h, err = look()
		return err
	}, names...)
	return h, err
}

func memberAddress(version, i int) netip.Addr {
	if version == 4 {
		return netip.AddrFrom4([4]byte{10, 1 + byte(i>>16), byte(i >> 8), byte(i)})
	}
	return netip.AddrFrom16([16]byte{0: 0x20, 1: 0x01, 2: 0x0d, 3: 0xb8, 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)})
}

// hostMemory is all that is kept for so many instances, each with a rule of its own.
func (s *scene) hostMemory() (results []Result, err error) {
	for _, instances := range []int{1, 10, 100} {
		for len(s.taps) < instances {
			t, err := s.host.AddTap(strconv.Itoa(len(s.taps)))
			if err != nil {
				return nil, err
			}
			s.taps = append(s.taps, t)
		}
		hosts, err := s.memoryOf(s.taps[:instances])
		if err != nil {
			return nil, err
		}
		results = append(results, hosts...)
	}
	return results, nil
}

func (s *scene) memoryOf(taps []*lab.Tap) (results []Result, err error) {
	var names []string
	for _, t := range taps {
		names = append(names, t.Interface)
	}
	h, err := s.held(crowd(s.host.Name, taps), names...)
	return pair(fmt.Sprintf("host, instances: %d", len(taps)), h.total(), h.taken), err
}

// crowd is the view of a host of instances that have nothing in common.
func crowd(host string, taps []*lab.Tap) *policy.View {
	view := policy.NewView()
	view.Revision = 1
	for i, t := range taps {
		id := t.Name
		view.Groups[id] = &policy.Group{ID: id, Organization: organization, Name: id, Rules: []gabion.Rule{{
			ID: "rule-" + id, Group: id, Direction: gabion.Ingress, Protocol: gabion.TCP,
			Ports: gabion.PortRange{Start: 22, End: 22}, Peer: gabion.Peer{Network: netip.PrefixFrom(memberAddress(4, i), 32)},
		}}}
		view.Instances[id] = &gabion.Instance{
			ID: id, Organization: organization, Name: id, Host: host, Groups: []string{id},
			NICs: []gabion.NIC{{Interface: t.Interface, MAC: t.MAC, Addresses: []netip.Addr{t.Addr4, t.Addr6}}},
		}
	}
	return view
}

// readAccounts asks the maps that are pinned in a directory.
func readAccounts(dir string) (map[string]float64, error) {
	pins, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return nil, err
	}
	all := map[string]float64{}
	for _, pin := range pins {
		m, err := ebpf.LoadPinnedMap(pin, &ebpf.LoadPinOptions{ReadOnly: true})
		if err != nil {
			continue // a link or a program
		}
		bytes, err := memory(m)
		if err := errors.Join(err, m.Close()); err != nil {
			return nil, fmt.Errorf("ask for memory of %s: %w", pin, err)
		}
		name, _, _ := strings.Cut(filepath.Base(pin), "_v") // of the layout
		all[name] = float64(bytes)
	}
	return all, nil
}

func memory(m *ebpf.Map) (bytes uint64, err error) {
	info, err := m.Info()
	if err != nil {
		return 0, err
	}
	bytes, _ = info.Memlock()
	if m.Type() != ebpf.ArrayOfMaps {
		return bytes, nil
	}
	var index uint32
	var inner *ebpf.Map
	for entries := m.Iterate(); entries.Next(&index, &inner); {
		more, err := memory(inner)
		if err := errors.Join(err, inner.Close()); err != nil {
			return 0, err
		}
		bytes += more
	}
	return bytes, nil
}
