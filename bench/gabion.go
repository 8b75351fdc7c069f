package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/datapath"
	"github.com/gabion/gabion/internal/policy"
)

// organization is whose everything is.
const organization = "bench"

// gabionPolicy is the product itself, without server and agent.
func gabionPolicy(s *scene, rules int) (tearDown func() error, err error) {
	return s.enforce(s.view(rules), s.sender.Interface, s.receiver.Interface)
}

// uncounted is the same without counters and events.
func uncounted(s *scene, rules int) (tearDown func() error, err error) {
	return s.enforceBy(datapath.Config{Uncounted: true}, s.view(rules), s.sender.Interface, s.receiver.Interface)
}

// enforce has the host enforce a view at those of its interfaces.
func (s *scene) enforce(view *policy.View, names ...string) (tearDown func() error, err error) {
	return s.enforceBy(datapath.Config{}, view, names...)
}

func (s *scene) enforceBy(config datapath.Config, view *policy.View, names ...string) (tearDown func() error, err error) {
	config.Dir, config.Log = s.pins(), slog.New(slog.DiscardHandler)
	var dp *datapath.Datapath
	err = s.host.Namespace().Do(func() (err error) {
		if dp, err = datapath.Open(config); err != nil {
			return err
		}
		links, err := interfaces(names...)
		if err != nil {
			return err
		}
		return dp.Apply(context.Background(), view, links)
	})
	tearDown = func() error {
		var err error
		if dp != nil {
			err = dp.Close()
		}
		return errors.Join(err, datapath.Remove(s.pins()))
	}
	if err != nil {
		return nil, errors.Join(err, tearDown())
	}
	return tearDown, nil
}

// pins is the directory of the host's links and maps.
func (s *scene) pins() string { return filepath.Join("/sys/fs/bpf/gabion", s.host.Namespace().Name) }

func interfaces(names ...string) (map[string]int, error) {
	indexes := map[string]int{}
	for _, name := range names {
		device, err := net.InterfaceByName(name)
		if err != nil {
			return nil, fmt.Errorf("find interface %s: %w", name, err)
		}
		indexes[name] = device.Index
	}
	return indexes, nil
}

// view is the policy of the scene as a server would send it.
func (s *scene) view(rules int) *policy.View {
	view := policy.NewView()
	view.Revision = 1
	for name, guest := range map[string]*gabion.NIC{
		"sender":   {Interface: s.sender.Interface, MAC: s.sender.MAC, Addresses: []netip.Addr{s.sending}},
		"receiver": {Interface: s.receiver.Interface, MAC: s.receiver.MAC, Addresses: []netip.Addr{s.receiving}},
	} {
		view.Groups[name] = &policy.Group{ID: name, Organization: organization, Name: name}
		view.Instances[name] = &gabion.Instance{
			ID: name, Organization: organization, Name: name, Host: s.host.Name,
			Groups: []string{name}, NICs: []gabion.NIC{*guest},
		}
	}
	view.Groups["receiver"].Rules = s.rules(rules)
	return view
}

// rules are ingress rules of the receiver, of which the last admits the sender.
func (s *scene) rules(n int) []gabion.Rule {
	all := make([]gabion.Rule, n)
	for i := range all {
		peer := netip.MustParseAddr(unmatched(i))
		ports := gabion.PortRange{Start: port, End: port}
		if i == n-1 {
			peer, ports = s.sending, gabion.PortRange{Start: firstPort, End: 65535}
		}
		all[i] = gabion.Rule{
			ID: fmt.Sprintf("rule-%06d", i), Group: "receiver", Direction: gabion.Ingress, Protocol: s.protocol,
			Ports: ports, Peer: gabion.Peer{Network: netip.PrefixFrom(peer, 32)},
		}
	}
	return all
}

// emptyPrograms is what the hooks themselves cost.
func emptyPrograms(s *scene, _ int) (func() error, error) {
	const next = -1 // TCX_NEXT
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, next), asm.Return()},
	})
	if err != nil {
		return nil, fmt.Errorf("load empty program: %w", err)
	}
	attached := []io.Closer{program}
	err = s.host.Namespace().Do(func() error {
		links, err := interfaces(s.sender.Interface, s.receiver.Interface)
		for _, index := range links {
			for _, hook := range []ebpf.AttachType{ebpf.AttachTCXIngress, ebpf.AttachTCXEgress} {
				l, attachErr := link.AttachTCX(link.TCXOptions{Interface: index, Program: program, Attach: hook})
				if attachErr != nil {
					return fmt.Errorf("attach empty program: %w", attachErr)
				}
				attached = append(attached, l)
			}
		}
		return err
	})
	tearDown := func() (err error) {
		for _, c := range attached {
			err = errors.Join(err, c.Close())
		}
		return err
	}
	if err != nil {
		return nil, errors.Join(err, tearDown())
	}
	return tearDown, nil
}
