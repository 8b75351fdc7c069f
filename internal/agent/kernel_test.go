package agent_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/gabion/gabion/internal/agent"
	"github.com/gabion/gabion/internal/datapath"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/hypervisor"
	"github.com/gabion/gabion/internal/policy"
	"github.com/gabion/gabion/internal/privilege"
)

// real is an enforcer on the kernel's own datapath and interfaces, in a fresh
// network namespace.
type real struct {
	agent.Datapath
	host *hypervisor.Hypervisor

	namespace netns.NsHandle
	acks      chan ack

	hidden  bool // the tap had another name when it was first filtered
	filters int  // on the tap at that moment
}

func (*real) Certify([]byte) {}

func (r *real) Ack(at feed.Position, problem error) {
	a := ack{at: at}
	if problem != nil {
		a.problem = problem.Error()
	}
	r.acks <- a
}

func (r *real) Observe(map[string]bool) {}

func (r *real) Protect(feed.Protection) {}

// withKernel runs the enforcer on this goroutine's thread, which dies with the
// namespace that it is put into, and the test's script beside it.
func withKernel(t *testing.T, script func(e agent.Enforcer, r *real)) {
	t.Helper()
	privilege.Require(t)
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	pins := filepath.Join(agent.PinDir, "agenttest"+strconv.Itoa(os.Getpid()))
	t.Cleanup(func() {
		if err := datapath.Remove(pins); err != nil {
			t.Error(err)
		}
	})
	d, err := datapath.Open(datapath.Config{Dir: pins, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	r := &real{Datapath: d, acks: make(chan ack, 10)}
	if r.namespace, err = netns.Get(); err != nil {
		t.Fatal(err)
	}
	defer r.namespace.Close()
	if r.host, err = hypervisor.Open(); err != nil {
		t.Fatal(err)
	}
	defer r.host.Close()
	e, _ := agent.NewEnforcer("hv1", t.TempDir(), r, r.host, r)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		script(e, r)
	}()
	if err := e.Run(ctx); err != nil {
		t.Error(err)
	}
}

// acknowledged waits for the ack of the revision.
func (r *real) acknowledged(t *testing.T, revision int64) bool {
	select {
	case got := <-r.acks:
		if got.at.Revision != revision || got.problem != "" {
			t.Errorf("got ack %+v, want revision %d", got, revision)
		}
		return true
	case <-time.After(agent.Patience):
		t.Errorf("waited in vain for the ack of revision %d", revision)
		return false
	}
}

func (r *real) links(t *testing.T) map[string]hypervisor.Link {
	links, err := r.host.Links()
	if err != nil {
		t.Error(err)
	}
	return links
}

func TestManagedTapInTheKernel(t *testing.T) {
	withKernel(t, func(e agent.Enforcer, r *real) {
		e.Links(r.links(t))
		e.Replace("e", view(5, one(true)))
		if !r.acknowledged(t, 5) {
			return
		}
		tap, ok := r.links(t)["tap1"]
		if !ok || tap.Managed != "tap1" {
			t.Errorf("got the interfaces %+v, want tap1 among them", r.links(t))
			return
		}
		if !r.hidden || r.filters != 2 {
			t.Errorf("before its release, tap1 had %d filters (hidden: %t), want 2 on a tap that nobody knows", r.filters, r.hidden)
		}
		e.Links(r.links(t))
		e.Change(&policy.Delta{Revision: 6, GoneInstances: []string{"one"}})
		if r.acknowledged(t, 6) {
			if _, ok := r.links(t)["tap1"]; ok {
				t.Error("tap1 is still there")
			}
		}
	})
}

// Apply notes what was so when the policy was in force and the tap not released.
func (r *real) Apply(ctx context.Context, v *policy.View, links map[string]int) error {
	if err := r.Datapath.Apply(ctx, v, links); err != nil {
		return err
	}
	index, ok := links["tap1"]
	if !ok || r.filters > 0 {
		return nil
	}
	_, err := net.InterfaceByName("tap1")
	r.hidden = err != nil
	for _, hook := range []ebpf.AttachType{ebpf.AttachTCXIngress, ebpf.AttachTCXEgress} {
		found, err := link.QueryPrograms(link.QueryOptions{Target: index, Attach: hook})
		if err != nil {
			return err
		}
		r.filters += len(found.Programs)
	}
	return nil
}
