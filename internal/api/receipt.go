package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api/openapi"
	"github.com/gabion/gabion/internal/policy"
)

// Receipts knows who enforces what.
type Receipts interface {
	// Revision is the newest of the store.
	Revision() int64
	// Current tells whether the host enforces all that concerns it.
	Current(host string) bool
	// Enforced is how far the change of a revision is: the hosts that it concerns,
	// those of them that wait, and the time from commit to the last acknowledgement.
	// Changes of long ago are not known.
	Enforced(revision int64) (hosts, waiting int, took time.Duration, known bool)
}

// ListReceipts answers which hosts of the organization's instances enforce what.
func (a *api) ListReceipts(w http.ResponseWriter, r *http.Request) {
	a.show(w, r, func(ctx context.Context, org string) (any, error) {
		hosts, err := lookUp(ctx, a, org, func(w *policy.World) []string { return hostsOf(w, org) })
		if err != nil {
			return nil, err
		}
		_, statuses, err := a.Store.Hosts(ctx)
		if err != nil {
			return nil, err
		}
		list := openapi.ReceiptList{Revision: a.Receipts.Revision(), Receipts: []openapi.Receipt{}}
		for _, host := range hosts {
			s := gabion.HostStatus{Host: host}
			if i := slices.IndexFunc(statuses, func(s gabion.HostStatus) bool { return s.Host == host }); i >= 0 {
				s = statuses[i]
			}
			list.Receipts = append(list.Receipts, receiptBody(s, a.Receipts.Current(host)))
		}
		return list, nil
	})
}

// hostsOf are the hosts of the organization's instances, by name.
func hostsOf(w *policy.World, org string) []string {
	var hosts []string
	for host := range w.Hosts() {
		if w.Runs(host, org, "") {
			hosts = append(hosts, host)
		}
	}
	slices.Sort(hosts)
	return hosts
}

func receiptBody(s gabion.HostStatus, current bool) openapi.Receipt {
	return openapi.Receipt{
		Host: s.Host, Revision: s.Revision, Current: current, Since: timeBody(s.EnforcedAt),
		Milliseconds: millisecondsBody(s.Took), PolicyDigest: s.PolicyDigest, ProgramDigest: s.ProgramDigest,
	}
}

func timeBody(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func millisecondsBody(d *time.Duration) *int {
	if d == nil {
		return nil
	}
	ms := int(d.Round(time.Millisecond).Milliseconds())
	return &ms
}

// enforcementBody is nil for a change that concerns no host, or is long past.
func (a *api) enforcementBody(revision int64) *openapi.Enforcement {
	hosts, waiting, took, known := a.Receipts.Enforced(revision)
	if !known {
		return nil
	}
	body := &openapi.Enforcement{Hosts: hosts, Waiting: waiting}
	if waiting == 0 {
		body.Milliseconds = millisecondsBody(&took)
	}
	return body
}
