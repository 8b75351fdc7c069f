// Package hypervisor is the host that instances run on, as far as networking
// goes: which interfaces there are and whether something filters them, taps made
// and removed for instances, and the host's own packet filter kept off the bridges
// of instances.
//
// It must not know of policy, the datapath or the server: it says what is there
// and does what it is told.
package hypervisor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// relist is how often interfaces are listed although nothing was heard of them:
// the kernel drops notifications when they come too fast.
const relist = 10 * time.Second

// Link is a network interface.
type Link struct {
	Name     string
	Index    int
	Up       bool   // set up, and something is at the other end
	Master   int    // index of the bridge that it is a port of; 0 if of none
	IsBridge bool   // other links may be ports of it
	IsClosed bool   // a bridge that filters VLANs and gives new ports none: they pass nothing
	Kind     string // as the kernel calls it: tuntap, veth, device, bond …
	Managed  string // the name that CreateTap made it for; empty if something else made it
	Admitted bool   // Admit was called for this very device
}

// Hypervisor is the host's networking in one network namespace: the one that
// Open was called in, which every method has to be called in, too.
type Hypervisor struct {
	routes *netlink.Handle
	events *nl.NetlinkSocket
	belt   fastened // of the goroutine that fastens it
}

// Open begins to listen for changes.
func Open() (*Hypervisor, error) {
	events, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK)
	if err != nil {
		return nil, fmt.Errorf("subscribe to changes of interfaces: %w", err)
	}
	routes, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		events.Close()
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	return &Hypervisor{routes: routes, events: events}, nil
}

// Close ends Watch and makes the rest unusable.
func (h *Hypervisor) Close() {
	h.events.Close()
	h.routes.Close()
}

// Links are the interfaces that exist now, by name.
func (h *Hypervisor) Links() (map[string]Link, error) {
	list, err := h.routes.LinkList()
	for errors.Is(err, netlink.ErrDumpInterrupted) { // something changed meanwhile
		list, err = h.routes.LinkList()
	}
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	links := make(map[string]Link, len(list))
	for _, l := range list {
		links[l.Attrs().Name] = describe(l)
	}
	return links, nil
}

func describe(l netlink.Link) Link {
	a := l.Attrs()
	managed, _ := strings.CutPrefix(a.Alias, aliasPrefix)
	if managed == a.Alias {
		managed = ""
	}
	return Link{
		Name:     a.Name,
		Index:    a.Index,
		Up:       isUp(a),
		Master:   a.MasterIndex,
		IsBridge: l.Type() == "bridge",
		IsClosed: isClosed(l),
		Kind:     l.Type(),
		Managed:  managed,
		Admitted: a.Group == admitted,
	}
}

func isClosed(l netlink.Link) bool {
	b, ok := l.(*netlink.Bridge)
	return ok && b.VlanFiltering != nil && *b.VlanFiltering && b.VlanDefaultPVID != nil && *b.VlanDefaultPVID == 0
}

// isUp asks for the carrier, too: after that is lost, the operational state takes
// the kernel a moment.
func isUp(a *netlink.LinkAttrs) bool {
	const flags = unix.IFF_UP | unix.IFF_LOWER_UP
	return a.RawFlags&flags == flags && (a.OperState == netlink.OperUp || a.OperState == netlink.OperUnknown)
}

// Watch calls changed with the interfaces that exist, at once and whenever they
// are different, until ctx ends. While a call lasts, changes are gathered.
func (h *Hypervisor) Watch(ctx context.Context, changed func(map[string]Link)) error {
	heard := make(chan error, 1)
	go h.listen(ctx, heard)
	tick := time.NewTicker(relist)
	defer tick.Stop()
	var known map[string]Link
	for {
		links, err := h.Links()
		if err != nil {
			return err
		}
		if known == nil || !maps.Equal(links, known) {
			known = links
			changed(maps.Clone(links))
		}
		select {
		case err := <-heard:
			if err != nil {
				return fmt.Errorf("listen for changes of interfaces: %w", err)
			}
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// listen tells that something was heard. What it was does not matter: the
// interfaces are listed anew, and what came meanwhile is in that list.
func (h *Hypervisor) listen(ctx context.Context, heard chan<- error) {
	context.AfterFunc(ctx, h.events.Close)
	for {
		_, _, err := h.events.Receive()
		if ctx.Err() != nil || errors.Is(err, os.ErrClosed) {
			return // a socket that is closed under a reader answers with what it met before, too
		}
		if errors.Is(err, unix.ENOBUFS) {
			err = nil // notifications were dropped: there are changes
		}
		if err != nil {
			heard <- err
			return
		}
		select {
		case heard <- nil:
		default:
		}
	}
}
