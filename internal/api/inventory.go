package api

import (
	"context"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/policy"
)

// Inventory is every object of the zone as this server has it in memory: what is
// asked of many objects would take seconds to read from the store.
type Inventory interface {
	// Inspect calls look with all objects, as of the revision or a later one, and
	// waits for that. look must neither keep the world nor wait for anything.
	Inspect(ctx context.Context, revision int64, look func(*policy.World)) error
}

// newsPatience is how long a request waits for this server to have seen what the
// store has: as a rule it takes no time, or milliseconds.
const newsPatience = 3 * time.Second

// lookUp is what look takes out of the inventory for the organization. It is
// linearizable, like what is read from the store itself: the store says what the
// organization's newest change is at this moment, and the inventory is asked for as of
// then or later. So it shows every change that was acknowledged before, whoever made it
// at whichever server; and what Enforcement has awaited, anyway. Two calls are two
// moments, of which the second is never the older one. Objects are shared: whoever
// looks some up does not change them.
func lookUp[T any](ctx context.Context, a *api, org string, look func(*policy.World) T) (found T, err error) {
	revision, err := a.Store.LastChange(ctx, org)
	if err != nil {
		return found, err
	}
	err = a.inspect(ctx, revision, func(w *policy.World) { found = look(w) })
	return found, err
}

func (a *api) inspect(ctx context.Context, revision int64, look func(*policy.World)) error {
	ctx, cancel := context.WithTimeout(ctx, newsPatience)
	defer cancel()
	return a.Inventory.Inspect(ctx, revision, look)
}

// groupNames are the names of those of the groups that the organization has.
func groupNames(w *policy.World, org string, ids ...string) names {
	n := make(names, len(ids))
	for _, id := range ids {
		if g := groupOf(w, org, id); g != nil {
			n[id] = g.Name
		}
	}
	return n
}

// groupOf is the organization's group of that id, nil if it has none.
func groupOf(w *policy.World, org, id string) *gabion.Group {
	if g := w.Group(id); g != nil && g.Organization == org {
		return g
	}
	return nil
}
