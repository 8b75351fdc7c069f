package api

import (
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/gabion/gabion"
)

const (
	// burst is for how many seconds' worth of requests a key may hurry.
	burst = 5

	// maxKeys and maxSources bound the memory of who asked how fast: whoever asked
	// longest ago is forgotten, and may ask as if for the first time.
	maxKeys    = 1 << 14
	maxSources = 1 << 16

	// Of wrong signatures and wrong sign-ins: how many a second from one source, and
	// how many at once.
	wrongPerSecond, wrongBurst           = 5, 100
	wrongSignInPerSecond, wrongSignBurst = 0.2, 10
)

// limits is how fast keys may ask, and how fast addresses may get it wrong. Who
// gets it right is not held up by who got it wrong from the same address: but for a
// credential that this server has not seen yet, which has to wait like them.
type limits struct {
	perSecond    rate.Limit // of each key; 0 is no limit on anything
	keys         *lru.Cache[string, *keyUse]
	wrong        *mistakes
	wrongSignIns *mistakes
}

// mistakes is how fast addresses may get something wrong.
type mistakes struct {
	by    *lru.Cache[netip.Prefix, *rate.Limiter]
	limit rate.Limit // rate.Inf: no limit
	burst int
	what  string // a sentence about too many of them
}

// keyUse is how fast a key asks, and whether that was stored lately.
type keyUse struct {
	limiter *rate.Limiter
	stored  rate.Sometimes
}

func newLimits(perSecond int) *limits {
	return &limits{
		perSecond:    rate.Limit(perSecond),
		keys:         newLRU[string, *keyUse](maxKeys),
		wrong:        newMistakes(perSecond, wrongPerSecond, wrongBurst, "too many requests of this address were signed wrongly"),
		wrongSignIns: newMistakes(perSecond, wrongSignInPerSecond, wrongSignBurst, "too many sign-ins of this address failed"),
	}
}

func newMistakes(perSecond int, limit rate.Limit, burst int, what string) *mistakes {
	if perSecond == 0 {
		limit = rate.Inf
	}
	return &mistakes{by: newLRU[netip.Prefix, *rate.Limiter](maxSources), limit: limit, burst: burst, what: what}
}

func newLRU[K comparable, V any](size int) *lru.Cache[K, V] {
	cache, err := lru.New[K, V](size)
	if err != nil {
		panic(err) // a size of ours that is not positive: a defect
	}
	return cache
}

// use is the use of a key.
func (l *limits) use(key string) *keyUse {
	return remembered(l.keys, key, func() *keyUse {
		limit := l.perSecond
		if limit == 0 {
			limit = rate.Inf
		}
		return &keyUse{limiter: rate.NewLimiter(limit, int(l.perSecond)*burst), stored: rate.Sometimes{Interval: time.Minute}}
	})
}

// add counts a failure of the source; wait is how long it should, if it had too many.
func (m *mistakes) add(source netip.Prefix) (wait time.Duration) {
	return take(remembered(m.by, source, func() *rate.Limiter { return rate.NewLimiter(m.limit, m.burst) }))
}

// wait is how long the source should, if it had too many failures.
func (m *mistakes) wait(source netip.Prefix) time.Duration {
	l, failed := m.by.Get(source)
	if !failed {
		return 0
	}
	r := l.Reserve()
	defer r.Cancel()
	return r.Delay()
}

// remembered is what the cache has for the key, made if it has nothing yet.
func remembered[K comparable, V any](cache *lru.Cache[K, V], key K, make func() V) V {
	if found, ok := cache.Get(key); ok {
		return found
	}
	made := make()
	if found, ok, _ := cache.PeekOrAdd(key, made); ok {
		return found
	}
	return made
}

// take takes one from the limiter; wait is how long until there is one, if there is none.
func take(l *rate.Limiter) (wait time.Duration) {
	r := l.Reserve()
	if wait = r.Delay(); wait > 0 {
		r.Cancel()
	}
	return wait
}

// tooFast answers who has to wait.
func tooFast(w http.ResponseWriter, wait time.Duration, what string) {
	seconds := int(math.Ceil(wait.Seconds()))
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	problem(w, http.StatusTooManyRequests, &gabion.Error{
		Code: gabion.CodeLimit, Message: fmt.Sprintf("%s; try again in %d s", what, seconds),
	})
}

// remote is the address that the request came from; not valid if it has none.
func remote(r *http.Request) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return from.Addr().Unmap().WithZone("")
}

// source is whom an address counts for: itself, or the 64 bits of an IPv6 address
// that its owner can't choose.
func source(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	prefix, _ := a.Prefix(bits) // the zero prefix for no address
	return prefix
}
