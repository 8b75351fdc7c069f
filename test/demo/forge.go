package main

import (
	"context"

	"github.com/gabion/gabion/test/forge"
)

// attacker is who sends what it must not.
const attacker = "app1"

var forgeries = []forge.Forgery{forge.ARPReply, forge.DHCPOffer}

// forgeUnfiltered is the control: without Gabion every machine sees the frames.
func (d *demo) forgeUnfiltered(ctx context.Context) error {
	d.step("Forged frames, as long as nothing is filtered: everybody sees them")
	if err := d.forge(ctx, len(machines)-1); err != nil {
		return err
	}
	// What they did to the victims' caches must not outlast the control.
	for _, g := range d.lab.Guests() {
		if err := g.ForgetNeighbours(); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) forgeFiltered(ctx context.Context) error {
	d.step("The same forged frames now: nobody sees them")
	return d.forge(ctx, 0)
}

// forge sends every forgery to every other guest, and checks how many saw it.
func (d *demo) forge(ctx context.Context, want int) error {
	from := d.guests[attacker]
	saw := make([]int, len(forgeries))
	for _, victim := range d.lab.Guests() {
		if victim == from {
			continue
		}
		seen, err := forge.Seen(ctx, from, from.Endpoint, victim.Endpoint, forgeries...)
		if err != nil {
			return err
		}
		for i := range seen {
			if seen[i] {
				saw[i]++
			}
		}
	}
	for i, f := range forgeries {
		d.check(saw[i] == want, "%s, sent by %s: seen by %d of %d", f.Name, attacker, saw[i], len(machines)-1)
	}
	return nil
}
