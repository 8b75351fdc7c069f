package store

import (
	"context"
	"sync"

	"github.com/gabion/gabion"
)

// lanes let the changes of one organization pass one after the other within this
// process. Nothing depends on it: the guards of the transactions hold across
// servers. But those who would meet in etcd, lose and try again wait here instead.
type lanes struct {
	mu  sync.Mutex
	all map[string]*lane // by organization, while somebody is in it
}

type lane struct {
	turn  chan struct{} // holds one token while nobody has the turn
	users int
}

// enter waits for the turn, at most as long as patience lasts. Call leave when done.
func (l *lanes) enter(ctx context.Context, org string) (leave func(), err error) {
	own := l.join(org)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-own.turn:
		return func() {
			own.turn <- struct{}{}
			l.quit(org, own)
		}, nil
	case <-ctx.Done():
		l.quit(org, own)
		return nil, gabion.Unavailable("too many changes of the organization wait for their turn: try again")
	}
}

func (l *lanes) join(org string) *lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := l.all[org]
	if own == nil {
		own = &lane{turn: make(chan struct{}, 1)}
		own.turn <- struct{}{}
		if l.all == nil {
			l.all = map[string]*lane{}
		}
		l.all[org] = own
	}
	own.users++
	return own
}

func (l *lanes) quit(org string, own *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if own.users--; own.users == 0 {
		delete(l.all, org)
	}
}
