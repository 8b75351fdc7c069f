package agent_test

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/agent"
	"github.com/gabion/gabion/internal/datapath"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/hypervisor"
	"github.com/gabion/gabion/internal/policy"
)

// bench is an enforcer between a datapath, a host and a server that tell the test
// what they are asked, and answer as it says.
type bench struct {
	agent.Enforcer
	dir      string
	applied  chan applied
	answer   chan error // of the datapath, one for each Apply
	acks     chan ack
	observed chan map[string]bool
	host     *host
	drift    chan []string // what audits find, one for each

	protection atomic.Pointer[feed.Protection]

	certified  [][]byte // digests, read after an ack
	unobserved bool     // something was acknowledged before it was observed
}

type applied struct {
	revision  int64
	instances []string
	links     map[string]int
	onDisk    int64 // revision in the state file at that moment
}

type ack struct {
	at      feed.Position
	problem string
}

func (b *bench) Apply(ctx context.Context, v *policy.View, links map[string]int) error {
	a := applied{revision: v.Revision, links: links}
	for id := range v.Instances {
		a.instances = append(a.instances, id)
	}
	slices.Sort(a.instances)
	if data, err := os.ReadFile(filepath.Join(b.dir, "policy.pb")); err == nil {
		if s, err := feed.DecodeState("hv1", data); err == nil {
			a.onDisk = s.View.Revision
		}
	}
	b.applied <- a
	select {
	case err := <-b.answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *bench) Certify(digest []byte) { b.certified = append(b.certified, digest) }

func (b *bench) Ack(at feed.Position, problem error) {
	a := ack{at: at}
	if problem != nil {
		a.problem = problem.Error()
	}
	b.unobserved = b.unobserved || len(b.observed) == 0
	b.acks <- a
}

func (b *bench) Observe(running map[string]bool) { b.observed <- running }

func (b *bench) Protect(p feed.Protection) { b.protection.Store(&p) }

func (b *bench) Audit() ([]string, error) {
	select {
	case drift := <-b.drift:
		return drift, nil
	default:
		return nil, nil
	}
}

// start runs an enforcer on the state directory.
func start(t *testing.T, dir string) *bench {
	t.Helper()
	b := &bench{
		dir: dir, applied: make(chan applied, 100), answer: make(chan error, 100),
		acks: make(chan ack, 100), observed: make(chan map[string]bool, 100), host: newHost(), drift: make(chan []string, 1),
	}
	var err error
	if b.Enforcer, err = agent.NewEnforcer("hv1", dir, b, b.host, b); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Logf("state file: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return b
}

// Links tells the enforcer of interfaces, which are the ones that there are.
func (b *bench) Links(links map[string]hypervisor.Link) {
	b.host.mu.Lock()
	b.host.links = maps.Clone(links)
	b.host.mu.Unlock()
	b.Enforcer.Links(links)
}

func next[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(agent.Patience):
		t.Fatalf("waited in vain for %s", what)
		panic("not reached")
	}
}

func none[T any](t *testing.T, what string, from <-chan T) {
	t.Helper()
	select {
	case v := <-from:
		t.Fatalf("unexpected %s: %+v", what, v)
	default:
	}
}

func (b *bench) expectAck(t *testing.T, revision int64, problem string) {
	t.Helper()
	got := next(t, "an ack", b.acks)
	if want := (ack{feed.Position{Epoch: "e", Revision: revision}, problem}); got != want {
		t.Fatalf("got ack %+v, want %+v", got, want)
	}
}

func one(managed bool) *gabion.Instance {
	return &gabion.Instance{
		ID: "one", Organization: "o", Name: "one", Host: "hv1", Groups: []string{"g"},
		NICs: []gabion.NIC{{
			Interface: "tap1", MAC: gabion.MAC{2, 0, 0, 0, 0, 1},
			Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}, Managed: managed,
		}},
	}
}

func view(revision int64, instances ...*gabion.Instance) *policy.View {
	v := policy.NewView()
	groups := []*policy.Group{{ID: "g", Organization: "o", Name: "g"}}
	v.Apply(&policy.Delta{Revision: revision, Groups: groups, Instances: instances})
	return v
}

func tap1(up bool) map[string]hypervisor.Link {
	return map[string]hypervisor.Link{"tap1": {Name: "tap1", Index: 11, Up: up}}
}

func TestPolicyIsWrittenEnforcedAcknowledged(t *testing.T) {
	b := start(t, t.TempDir())
	b.Links(tap1(true))
	none(t, "Apply without a policy", b.applied)
	if b.Ready() == nil {
		t.Error("ready without a policy")
	}

	b.Replace("e", view(5, one(false)))
	got := next(t, "Apply", b.applied)
	want := applied{revision: 5, instances: []string{"one"}, links: map[string]int{"tap1": 11}, onDisk: 5}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(applied{})); diff != "" {
		t.Error(diff)
	}
	none(t, "ack before the policy is in force", b.acks)
	b.answer <- nil
	b.expectAck(t, 5, "")
	if b.unobserved {
		t.Error("acknowledged before it was observed")
	}
	if diff := cmp.Diff(map[string]bool{"one": true}, next(t, "an observation", b.observed)); diff != "" {
		t.Error(diff)
	}
	if err := b.Ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

// The digest that comes with an ack is that of the policy in force, and is told once.
func TestWhatIsInForceIsCertified(t *testing.T) {
	b := start(t, t.TempDir())
	b.Links(tap1(true))
	b.Replace("e", view(5, one(false)))
	next(t, "Apply", b.applied)
	b.answer <- errors.New("map is full")
	b.expectAck(t, 0, "map is full")
	if len(b.certified) > 0 {
		t.Errorf("certified %x, which is not in force", b.certified)
	}
	next(t, "Apply", b.applied)
	b.answer <- nil
	b.expectAck(t, 5, "")
	b.Change(&policy.Delta{Revision: 6})
	b.expectAck(t, 6, "")
	_, want, err := (&feed.State{View: view(6, one(false))}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]byte{want}, b.certified); diff != "" {
		t.Error(diff)
	}
}

func TestFailureIsToldAndTriedAgain(t *testing.T) {
	b := start(t, t.TempDir())
	b.Links(tap1(true))
	b.Replace("e", view(5, one(false)))
	for range 2 {
		next(t, "Apply", b.applied)
		b.answer <- errors.New("map is full")
		b.expectAck(t, 0, "map is full")
		if b.Ready() == nil {
			t.Error("ready although the policy is not in force")
		}
	}
	next(t, "Apply", b.applied)
	b.answer <- nil
	b.expectAck(t, 5, "")
	next(t, "an observation", b.observed)

	b.Change(&policy.Delta{Revision: 6, Instances: []*gabion.Instance{one(false)}})
	next(t, "Apply", b.applied)
	b.answer <- errors.New("map is full")
	b.expectAck(t, 5, "map is full") // that is still in force
}

func TestWhatIsLeftOutHoldsNobodyUp(t *testing.T) {
	b := start(t, t.TempDir())
	b.Links(tap1(true))
	b.Replace("e", view(5, one(false)))
	bad := &datapath.PartialError{Causes: []error{errors.New("leave rule x out")}}
	for range 2 {
		next(t, "Apply", b.applied)
		b.answer <- bad
		b.expectAck(t, 5, "leave rule x out")
		if b.Ready() == nil {
			t.Error("ready although something is left out")
		}
	}
	b.Change(&policy.Delta{Revision: 6, Instances: []*gabion.Instance{one(false)}})
	for got := next(t, "Apply", b.applied); got.revision != 6; got = next(t, "Apply", b.applied) {
		b.answer <- bad // one more attempt at the older revision
		b.expectAck(t, 5, "leave rule x out")
	}
	b.answer <- bad
	b.expectAck(t, 6, "leave rule x out")
	next(t, "Apply", b.applied)
	b.answer <- nil
	b.expectAck(t, 6, "")
}

// Where one has rules of before because his do not fit, the rest is done, and no revision
// counts as enforced until all fit.
func TestWhatIsOlderThanTheRevisionIsNotEnforced(t *testing.T) {
	b := start(t, t.TempDir())
	b.Links(tap1(true))
	b.Replace("e", view(5, one(false)))
	next(t, "Apply", b.applied)
	b.answer <- nil
	b.expectAck(t, 5, "")
	certified := len(b.certified)

	stale := &datapath.PartialError{Causes: []error{errors.New("groups g keep the rules of revision 5")}, Stale: true}
	managed := one(true)
	managed.ID, managed.NICs[0].Interface = "two", "tap2"
	b.Change(&policy.Delta{Revision: 6, Instances: []*gabion.Instance{managed}})
	for range 2 {
		next(t, "Apply", b.applied)
		b.answer <- stale
		b.expectAck(t, 5, "groups g keep the rules of revision 5")
		if b.Ready() == nil {
			t.Error("ready although something is not in force")
		}
	}
	if len(b.certified) != certified {
		t.Error("a policy is certified that is not in force")
	}
	if !b.host.has("release tap2") {
		t.Error("the tap of another instance is kept from it")
	}
	b.Change(&policy.Delta{Revision: 7, Instances: []*gabion.Instance{one(false)}})
	for got := next(t, "Apply", b.applied); got.revision != 7; got = next(t, "Apply", b.applied) {
		b.answer <- stale // one more attempt at the older revision
		b.expectAck(t, 5, "groups g keep the rules of revision 5")
	}
	b.answer <- nil
	b.expectAck(t, 7, "")
	if err := b.Ready(); err != nil {
		t.Errorf("not ready: %v", err)
	}
}

// An agent that waited for that before it has started would be ended by its unit, and
// all instances of the host with it.
func TestWhatDoesNotFitKeepsNoAgentFromStarting(t *testing.T) {
	dir := t.TempDir()
	if err := agent.SaveState(dir, "hv1", &feed.State{Epoch: "e", View: view(5, one(false))}); err != nil {
		t.Fatal(err)
	}
	b := start(t, dir)
	b.Links(tap1(true))
	next(t, "Apply", b.applied)
	b.answer <- errors.New("map is full")
	b.expectAck(t, 0, "map is full")
	none(t, "start without a policy in force", b.Started)
	next(t, "Apply", b.applied)
	b.answer <- &datapath.PartialError{Causes: []error{errors.New("groups g have no network")}, Stale: true}
	b.expectAck(t, 0, "groups g have no network")
	next(t, "the start", b.Started)
}

func TestAnotherStoreBeginsWithNothingEnforced(t *testing.T) {
	b := start(t, t.TempDir())
	b.Links(tap1(true))
	b.Replace("e", view(5))
	next(t, "Apply", b.applied)
	b.answer <- nil
	b.expectAck(t, 5, "")
	b.Replace("f", view(9))
	next(t, "Apply", b.applied)
	b.answer <- errors.New("map is full")
	if got := next(t, "an ack", b.acks); got.at != (feed.Position{Epoch: "f"}) {
		t.Errorf("got ack %+v, want nothing of epoch f", got)
	}
}

// A change that comes before the kernel's word of a new interface meets it nonetheless.
func TestInstanceOnAnInterfaceThatNobodyHasToldOf(t *testing.T) {
	b := start(t, t.TempDir())
	b.Links(map[string]hypervisor.Link{})
	b.Replace("e", view(5))
	next(t, "Apply", b.applied)
	b.answer <- nil
	b.expectAck(t, 5, "")
	next(t, "an observation", b.observed)

	b.host.mu.Lock()
	b.host.links = tap1(true)
	b.host.mu.Unlock()
	b.Change(&policy.Delta{Revision: 6, Instances: []*gabion.Instance{one(false)}})
	if got := next(t, "Apply", b.applied); got.links["tap1"] != 11 {
		t.Errorf("applied to %v, want tap1", got.links)
	}
	b.answer <- nil
	b.expectAck(t, 6, "")
	if !next(t, "an observation", b.observed)["one"] {
		t.Error("an instance with its interface up is not seen running")
	}
}

func TestWhatComesDuringAStepGoesIntoOne(t *testing.T) {
	b := start(t, t.TempDir())
	b.Links(tap1(true))
	b.Replace("e", view(5))
	next(t, "Apply", b.applied)
	for r := range int64(50) {
		b.Change(&policy.Delta{Revision: 6 + r, Instances: []*gabion.Instance{one(false)}})
	}
	b.Links(tap1(false))
	b.answer <- nil
	b.expectAck(t, 5, "")
	if got := next(t, "Apply", b.applied); got.revision != 55 || got.onDisk != 55 {
		t.Errorf("the next step enforced revision %d (%d on disk), want 55", got.revision, got.onDisk)
	}
	b.answer <- nil
	b.expectAck(t, 55, "")
	none(t, "Apply", b.applied)
}

func TestRevisionAloneCostsNothing(t *testing.T) {
	b := start(t, t.TempDir())
	b.Links(tap1(true))
	b.Replace("e", view(5))
	next(t, "Apply", b.applied)
	b.answer <- nil
	b.expectAck(t, 5, "")
	b.Change(&policy.Delta{Revision: 9})
	b.expectAck(t, 9, "")
	none(t, "Apply", b.applied)
}

func TestNewInterfaceIsFiltered(t *testing.T) {
	b := start(t, t.TempDir())
	b.Links(map[string]hypervisor.Link{})
	b.Replace("e", view(5, one(false)))
	if got := next(t, "Apply", b.applied); len(got.links) != 0 {
		t.Errorf("applied to %v, want no interface", got.links)
	}
	b.answer <- nil
	b.expectAck(t, 5, "")
	if next(t, "an observation", b.observed)["one"] {
		t.Error("an instance without interface is seen running")
	}
	b.Links(tap1(true))
	if got := next(t, "Apply", b.applied); got.links["tap1"] != 11 {
		t.Errorf("applied to %v, want tap1", got.links)
	}
	b.answer <- nil
	if !next(t, "an observation", b.observed)["one"] {
		t.Error("an instance with its interface up is not seen running")
	}
	none(t, "ack of what was acknowledged", b.acks)
}
