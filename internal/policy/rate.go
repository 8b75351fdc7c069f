package policy

const second = 1_000_000_000 // nanoseconds

// rate is "The rate of RARP, exactly": a burst, then one an interval (both ends of it in
// nanoseconds). The zero time lets the whole burst pass once the clock has run
// for that long.
type rate struct {
	burst, interval uint64
	time            uint64
}

// take uses the rate up by one, if it holds one more.
func (r *rate) take(now uint64) bool {
	window := r.burst * r.interval
	if now > window {
		r.time = max(r.time, now-window)
	}
	if r.time > now {
		return false
	}
	r.time += r.interval
	return true
}
