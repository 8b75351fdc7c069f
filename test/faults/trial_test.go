package faults_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/gabion/gabion/internal/lab"
)

// triedPort is the victim's; friends may reach it.
const triedPort = 6500

// trial is packets from a guest to the victim's service, each of which says what the
// guest was when it was sent. None is waited for: one that comes late counts, too.
type trial struct {
	from           *lab.Guest
	to             netip.AddrPort
	friend, nobody *stream // what was sent as the one and as the other
}

// startTrial opens the service.
func (s *site) startTrial(t *testing.T, g *lab.Guest) *trial {
	t.Helper()
	y := &trial{from: g, to: netip.AddrPortFrom(s.victim.Addr4, triedPort)}
	y.friend, y.nobody = y.as("the friend", 1), y.as("nobody", 2)
	r, err := listen(s.victim.Endpoint, triedPort, map[uint16]*stream{1: y.friend, 2: y.nobody})
	must(t, err)
	reading := &traffic{receivers: []*receiver{r}, stopping: make(chan struct{})}
	reading.reading.Go(r.run)
	t.Cleanup(reading.close)
	return y
}

func (y *trial) as(name string, id uint16) *stream {
	return &stream{name: name, id: id, rate: 2000, from: y.from.Endpoint, to: y.to, source: everyPort}
}

// passes sends as the friend until a packet has arrived.
func (y *trial) passes(t *testing.T) {
	t.Helper()
	before := y.friend.got.count()
	y.friend.during(func() {
		await(t, "a packet of the friend to arrive", func() bool { return y.friend.got.count() > before })
	})
}

// tries sends as nobody while something is done, and a few packets more.
func (y *trial) tries(t *testing.T, while func()) {
	t.Helper()
	const more = 20
	y.nobody.during(func() {
		while()
		sent := y.nobody.sent.Load()
		await(t, "packets to be sent", func() bool { return y.nobody.sent.Load() > sent+more })
	})
}

// isClosed tells whether nothing arrives of a few packets of the friend.
func (y *trial) isClosed() bool {
	before := y.friend.got.count()
	y.friend.during(func() { time.Sleep(5 * tick) })
	time.Sleep(quiet)
	return y.friend.got.count() == before
}

// tried holds what arrived against what may.
func (r *row) tried(y *trial, cycles int) {
	r.Helper()
	friend, nobody := y.friend.got.count(), y.nobody.got.count()
	r.say("%d cycles, %s packets of the friend passed, %d of %s of whom it was not any more", cycles, count(friend), nobody, count(y.nobody.sent.Load()))
	if friend == 0 || nobody > 0 {
		r.Errorf("%d packets passed of whom it was not, %d of the friend", nobody, friend)
	}
}

// during sends while something is done.
func (s *stream) during(do func()) {
	stopping, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		s.run(stopping)
	}()
	defer func() {
		close(stopping)
		<-ended
	}()
	do()
}
