package flow

import "time"

type amount struct{ packets, bytes uint64 }

// counter is one counter of one host over all its lives.
type counter struct {
	life   uint64
	before amount // of lives that have ended
	seen   amount // of this life
	last   time.Time
	recent hour
}

func (c *counter) total() amount {
	return amount{c.before.packets + c.seen.packets, c.before.bytes + c.seen.bytes}
}

// count takes in the counter's value and tells whether it is news. What is unheard
// of and of an unknown time is in the total, and in nothing that has a time.
func (c *counter) count(life uint64, now amount, at time.Time, timeless bool) bool {
	fresh := *c == counter{}
	if life != c.life || now.packets < c.seen.packets {
		c.before = c.total()
		c.life, c.seen = life, amount{}
	}
	more := now.packets - c.seen.packets
	c.seen = now
	if more > 0 && (!fresh || !timeless) {
		c.last = at
		c.recent.add(at, more)
	}
	return more > 0
}

// hour is what happened in each of the last sixty minutes.
type hour struct {
	minutes [60]uint64
	newest  int64 // minute of the Unix clock that was counted last
}

func (h *hour) add(now time.Time, n uint64) {
	minute := now.Unix() / 60
	for m := max(h.newest+1, minute-59); m <= minute; m++ {
		h.minutes[m%60] = 0
	}
	h.newest = max(h.newest, minute)
	h.minutes[h.newest%60] += n
}

func (h *hour) sum(now time.Time) (n uint64) {
	oldest := max(now.Unix()/60, h.newest) - 59
	for m := oldest; m <= h.newest; m++ {
		n += h.minutes[m%60]
	}
	return n
}
