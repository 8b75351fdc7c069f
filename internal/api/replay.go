package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"github.com/gabion/gabion"
)

// maxReplays bounds the memory of answers: about 100 MB when it is full.
const maxReplays = 1 << 18

// replay answers a change that is sent again as it was answered first. Clients
// do so when an answer got lost, and an eavesdropper may try to.
func (a *api) replay(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := callerOf(r.Context())
		if c == nil || c.session != nil || !isChange(r) {
			next.ServeHTTP(w, r)
			return
		}
		given, err := a.replays.do(r.Context(), c, func() *answer {
			recorded := &answer{header: http.Header{}}
			next.ServeHTTP(recorded, r)
			return recorded
		})
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		given.writeTo(w)
	})
}

// isChange tells whether the request may change something. A question that is
// put in a body may be asked again and again.
func isChange(r *http.Request) bool {
	return r.Method != http.MethodGet && r.URL.Path != Base+"/explain"
}

// replays remembers the answers to changes until their signatures expire. It is
// one server's: a change that is sent again to another server meets the store.
type replays struct {
	mu       sync.Mutex
	entries  map[[sha256.Size]byte]*replayed
	expiring map[int64]signatures // of the entries, by Unix time
	swept    int64                // Unix time: what expired before is gone
}

// signatures is a set of them.
type signatures map[[sha256.Size]byte]struct{}

// replayed is a change that is being made, or was.
type replayed struct {
	done   chan struct{} // closed when answer is there
	answer *answer       // nil if the change was not made
}

func newReplays() *replays {
	return &replays{
		entries:  map[[sha256.Size]byte]*replayed{},
		expiring: map[int64]signatures{},
	}
}

// do makes the change, or finds out how it was answered; it waits for one that
// is under way. A change that was refused changed nothing, and is tried anew: what
// refused it may be gone.
func (p *replays) do(ctx context.Context, c *caller, change func() *answer) (*answer, error) {
	for {
		entry, first, err := p.entry(c)
		if err != nil {
			return nil, err
		}
		if first {
			return p.make(c, entry, change), nil
		}
		select {
		case <-entry.done:
			if entry.answer != nil {
				return entry.answer, nil
			}
		case <-ctx.Done():
			return nil, gabion.Unavailable("the same change is still being made; ask again")
		}
	}
}

// entry is the change of that signature; first if nobody makes it yet.
func (p *replays) entry(c *caller) (entry *replayed, first bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweep(time.Now().Unix())
	if entry, ok := p.entries[c.signature]; ok {
		return entry, false, nil
	}
	if len(p.entries) >= maxReplays {
		return nil, false, gabion.Unavailable("too many changes in the last minutes; wait a minute and try again")
	}
	entry = &replayed{done: make(chan struct{})}
	p.entries[c.signature] = entry
	at := c.expires.Unix()
	if p.expiring[at] == nil {
		p.expiring[at] = signatures{}
	}
	p.expiring[at][c.signature] = struct{}{}
	return entry, true, nil
}

func (p *replays) make(c *caller, entry *replayed, change func() *answer) *answer {
	defer close(entry.done)
	defer func() {
		if entry.answer == nil { // also when change panicked
			p.forget(c)
		}
	}()
	given := change()
	if given.status < 300 {
		entry.answer = given
	}
	return given
}

func (p *replays) forget(c *caller) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.entries, c.signature)
	delete(p.expiring[c.expires.Unix()], c.signature)
}

// sweep drops what expired. Nobody can send it again: its signature is refused.
func (p *replays) sweep(now int64) {
	if now == p.swept {
		return
	}
	p.swept = now
	for at, expired := range p.expiring { // some 600 seconds
		if at >= now {
			continue
		}
		for signature := range expired {
			delete(p.entries, signature)
		}
		delete(p.expiring, at)
	}
}

// answer is what a handler answered, kept.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

func (a *answer) writeTo(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	// An error here means that the caller has gone.
	_, _ = w.Write(a.body.Bytes())
}
