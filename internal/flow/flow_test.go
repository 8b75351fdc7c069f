package flow_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/flow"
)

var start = time.Unix(1_800_000_000, 0)

// r is the rule that is counted.
var r = []string{"r"}

func hits(life, packets uint64) flow.Counts {
	return flow.Counts{Rules: []flow.RuleCount{{Rule: "r", Life: life, Packets: packets, Bytes: 100 * packets}}}
}

// TestTotalsNeverGoBackNorCountTwice plays any history of a kernel's counter, its
// agent and servers, and holds the total against what really happened.
func TestTotalsNeverGoBackNorCountTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ledger, now := flow.NewLedger(), start
		var life, value, happened, shown uint64 = 1, 0, 0, 0
		all := true
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Minute)
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0, 1: // packets
				n := rapid.Uint64Range(1, 50).Draw(t, "packets")
				value, happened = value+n, happened+n
			case 2: // the kernel's counter begins anew; what was not told of the old one is lost
				happened = shown
				life, value = life+1, 0
			case 3: // the agent connects again
				all = true
			case 4: // another server takes over
				data, err := ledger.Record("h", now)
				if err != nil {
					t.Fatal(err)
				}
				if data == nil {
					continue
				}
				ledger, all = flow.NewLedger(), true
				if err := ledger.Restore("h", data); err != nil {
					t.Fatal(err)
				}
			}
			c := hits(life, value)
			c.All, all = all, false
			ledger.Count("h", c, now)
			got := ledger.Hits(now, r)["r"]
			if got.Packets != happened || got.Bytes != 100*happened || got.Packets < shown {
				t.Fatalf("total %d, before %d, happened %d", got.Packets, shown, happened)
			}
			shown = got.Packets
		}
	})
}

func always(string) bool { return true }

func TestTheLastHourForgets(t *testing.T) {
	l := flow.NewLedger()
	count := func(minute int, c flow.Counts) { l.Count("h", c, start.Add(time.Duration(minute)*time.Minute)) }
	hour := func(minute int) uint64 { return l.Hits(start.Add(time.Duration(minute)*time.Minute), r)["r"].LastHour }

	first := hits(1, 1000)
	first.All = true
	count(0, first)
	if h := l.Hits(start, r)["r"]; h.LastHour != 0 || !h.Last.IsZero() || h.Packets != 1000 {
		t.Errorf("what happened at an unknown time counts as %+v", h)
	}
	count(1, hits(1, 1010))
	count(30, hits(1, 1013))
	for minute, want := range map[int]uint64{30: 13, 59: 13, 60: 13, 61: 3, 89: 3, 90: 0, 1000: 0} {
		if got := hour(minute); got != want {
			t.Errorf("in minute %d the last hour had %d packets, want %d", minute, got, want)
		}
	}
}

func TestWhatIsGoneIsNotRecorded(t *testing.T) {
	l := flow.NewLedger()
	c := hits(1, 1)
	c.Drops = []flow.DropCount{{Instance: "i", Interface: "tap0", Reason: gabion.DropDeniedIngress, Life: 1, Packets: 7}}
	l.Count("h", c, start)
	never := func(string) bool { return false }
	l.Prune("h", never, always)
	data, err := l.Record("h", start)
	if err != nil {
		t.Fatal(err)
	}
	again := flow.NewLedger()
	if err := again.Restore("h", data); err != nil {
		t.Fatal(err)
	}
	want := []flow.Drop{{Instance: "i", Interface: "tap0", Reason: gabion.DropDeniedIngress, Packets: 7, Last: start}}
	if diff := cmp.Diff(want, again.Drops("i")); diff != "" || len(again.Hits(start, r)) != 0 {
		t.Errorf("restored (-want +got):\n%s%v", diff, again.Hits(start, r))
	}
	if data, err := l.Record("h", start); data != nil || err != nil {
		t.Errorf("nothing new was recorded as %s, %v", data, err)
	}
}

func event(org, instance string, r gabion.Reason) flow.Event {
	return flow.Event{Organization: org, Instance: flow.Named{ID: instance}, Reason: r}
}

func TestWatchersGetTheirOwn(t *testing.T) {
	hub := flow.NewHub()
	denied := hub.Watch(flow.Filter{Organization: "o", Denied: true})
	defer denied.Close()
	one := hub.Watch(flow.Filter{Organization: "o", Instance: "one", Denied: true, Allowed: true})
	stranger := hub.Watch(flow.Filter{Organization: "p", Denied: true, Allowed: true})
	defer stranger.Close()
	hub.Publish(event("o", "one", gabion.DropDeniedIngress))
	hub.Publish(event("o", "one", gabion.PassRule))
	hub.Publish(event("o", "two", gabion.DropDeniedIngress))
	for name, w := range map[string]struct {
		*flow.Watcher
		want int
	}{"denied": {denied, 2}, "one": {one, 2}, "stranger": {stranger, 0}} {
		if got := len(w.Events()); got != w.want {
			t.Errorf("%s got %d events, want %d", name, got, w.want)
		}
	}
	if d := hub.Demand(func(f flow.Filter) bool { return f.Organization == "o" }); d != flow.All {
		t.Errorf("demand is %s", d)
	}
	one.Close()
	if d := hub.Demand(func(f flow.Filter) bool { return f.Organization == "o" }); d != flow.Denied {
		t.Errorf("demand without the one who wants all is %s", d)
	}
}

func TestASlowWatcherHearsOfItsLosses(t *testing.T) {
	hub := flow.NewHub()
	w := hub.Watch(flow.Filter{Organization: "o", Denied: true})
	defer w.Close()
	const sent = 1000
	for range sent {
		hub.Publish(event("o", "one", gabion.DropDeniedIngress))
	}
	hub.Lose("o", "one", 5)
	hub.Lose("p", "one", 7)
	<-w.Losses()
	if got, lost := len(w.Events()), w.Lost(); uint64(got)+lost != sent+5 || lost < 5 {
		t.Errorf("%d events came and %d were lost, of %d", got, lost, sent+5)
	}
	if w.Lost() != 0 {
		t.Error("losses are told twice")
	}
}

// A rule's total is over the hosts that there are, each with what was counted last.
func TestHitsOfManyHosts(t *testing.T) {
	l := flow.NewLedger()
	expect := func(what string, want uint64) {
		t.Helper()
		hits := l.Hits(start, []string{"r", "other"})
		if _, counted := hits["r"]; hits["r"].Packets != want || counted != (want > 0) || len(hits) > 1 {
			t.Errorf("%s: %+v, want %d packets of r", what, hits, want)
		}
	}
	l.Count("h1", hits(1, 10), start)
	l.Count("h2", hits(1, 5), start)
	expect("two hosts", 15)
	if got := l.Hits(start, nil); len(got) > 0 {
		t.Errorf("of no rule: %+v", got)
	}
	later := flow.NewLedger()
	later.Count("h2", hits(2, 7), start)
	data, err := later.Record("h2", start.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Restore("h2", data); err != nil {
		t.Fatal(err)
	}
	expect("h2 was recorded elsewhere", 17)
	l.Count("h2", hits(2, 8), start)
	expect("h2 counts on", 18)
	l.Forget("h1")
	expect("h1 is gone", 8)
	l.Prune("h2", func(string) bool { return false }, always)
	expect("the rule is gone", 0)
}
