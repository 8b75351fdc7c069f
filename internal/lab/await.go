package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// patience is how long the lab waits for what it knows will come. Only a failure
// takes so long, also on a machine that has much else to do.
const patience = time.Minute

// awaiting bounds a wait by the lab's patience.
func awaiting(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, patience)
}

// awaitUp waits until the link carries frames. The kernel makes a link that has
// got its carrier ready some time later, and drops what is sent before.
func awaitUp(ns *Namespace, name string) error {
	handle := netns.NsHandle(ns.file.Fd())
	subscribe := func(updates chan<- netlink.LinkUpdate, done <-chan struct{}) error {
		options := netlink.LinkSubscribeOptions{Namespace: &handle, ListExisting: true}
		return netlink.LinkSubscribeWithOptions(updates, done, options)
	}
	err := await(subscribe, func(u netlink.LinkUpdate) bool {
		return u.Attrs().Name == name && u.Attrs().OperState == netlink.OperUp
	})
	if err != nil {
		return fmt.Errorf("wait for link %s in %s: %w", name, ns.Name, err)
	}
	return nil
}

// awaitAddress waits until the address can be used. The kernel takes an IPv6
// address tentatively, and listens for its neighbours' solicitations some time
// later, even where no duplicates are looked for.
func awaitAddress(ns *Namespace, addr netip.Addr) error {
	handle := netns.NsHandle(ns.file.Fd())
	subscribe := func(updates chan<- netlink.AddrUpdate, done <-chan struct{}) error {
		options := netlink.AddrSubscribeOptions{Namespace: &handle, ListExisting: true}
		return netlink.AddrSubscribeWithOptions(updates, done, options)
	}
	err := await(subscribe, func(u netlink.AddrUpdate) bool {
		got, _ := netip.AddrFromSlice(u.LinkAddress.IP)
		return u.NewAddr && got.Unmap() == addr && u.Flags&unix.IFA_F_TENTATIVE == 0
	})
	if err != nil {
		return fmt.Errorf("wait for address %s in %s: %w", addr, ns.Name, err)
	}
	return nil
}

// await reads what is and then what changes until it is what the caller waits for.
func await[T any](subscribe func(chan<- T, <-chan struct{}) error, arrived func(T) bool) error {
	updates, done := make(chan T), make(chan struct{})
	if err := subscribe(updates, done); err != nil {
		return err
	}
	defer func() {
		close(done)
		go func() {
			for range updates { //nolint:revive // let the sender see that it is over
			}
		}()
	}()
	late := time.After(patience)
	for {
		select {
		case u, ok := <-updates:
			if !ok {
				return errors.New("the kernel says no more")
			}
			if arrived(u) {
				return nil
			}
		case <-late:
			return fmt.Errorf("not after %s", patience)
		}
	}
}

// pollInterval is how often the lab looks where nothing tells it.
const pollInterval = 20 * time.Millisecond

// poll looks until all is well, the process ends or ctx does.
func poll(ctx context.Context, p *Process, look func() error) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := look()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.Done():
			return p.failure()
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}
