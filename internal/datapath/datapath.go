// Package datapath enforces policy in the kernel: it holds the eBPF programs and
// maps, attaches the programs to the interfaces of the host's instances, and keeps
// the maps equal to what Compile makes of a policy.View. Everything is pinned, so
// enforcement goes on without this process.
//
// It must not know of the server, the stream or the API, nor where interfaces come
// from. What a verdict is stands in docs/verdicts.md; how a change is written so
// that no packet sees half of it, at plan.run.
//
// from_instance runs at tcx ingress and judges egress, to_instance runs at tcx
// egress and judges ingress: the kernel speaks of the host's side of the tap, we
// speak of the instance's.
package datapath

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/gabion/gabion/internal/policy"
)

// Datapath is one agent's programs and maps. Its methods may be called from any
// goroutine in the network namespace of the interfaces.
type Datapath struct {
	log      *slog.Logger
	lock     *os.File // held while we write: one agent per directory
	programs bpfPrograms
	limits   Limits

	tellAllowed, takingOver *ebpf.Variable

	types         *btf.Spec // of our maps
	formerLayouts []string  // of maps that decide until the first Apply; nil: ours do

	asking sync.Mutex // held around mu
	prober *prober    // nil: nobody has asked yet

	mu       sync.Mutex
	kernel   *kernel
	links    *links
	register *register
	actual   *Tables   // nil: not known, to be read
	origins  Origins   // of what was written last
	nextRead time.Time // when Audit reads them again
	repaired []string  // what Apply found changed by somebody else; for the next Audit to tell
}

// PartialError reports what a policy that is in force otherwise leaves out. NICs and
// rules in it drop; interfaces that could not be attached are not filtered.
type PartialError struct {
	Causes []error
	Stale  bool // some instances have rules of before, or none, because theirs do not fit
}

func (e *PartialError) Error() string {
	texts := make([]string, len(e.Causes))
	for i, cause := range e.Causes {
		texts[i] = cause.Error()
	}
	return strings.Join(texts, "; ")
}

func (e *PartialError) Unwrap() []error { return e.Causes }

// Apply enforces the view on the interfaces that exist now (links: ifindex by
// name), and returns when no packet is judged by anything older.
//
// After a *PartialError the rest of the view is in force. After any other error the
// policy before it is, as far as the kernel could be written at all; Apply may be
// called again with any view.
func (d *Datapath) Apply(ctx context.Context, v *policy.View, links map[string]int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	// Programs first: an interface without a NIC entry passes nothing.
	attached, problems := d.attach(v, links)
	written, err := d.write(v, attached)
	if err != nil {
		return errors.Join(append(problems, fmt.Errorf("apply revision %d: %w", v.Revision, err))...)
	}
	if err := d.takeOver(); err != nil {
		d.actual = nil // until then nothing is to be audited
		return errors.Join(append(problems, fmt.Errorf("take over from another layout of maps: %w", err))...)
	}
	if err := d.links.sweep(); err != nil {
		problems = append(problems, err)
	}
	problems = append(append(problems, written.Refused...), written.Stale...)
	if len(problems) > 0 {
		return &PartialError{Causes: problems, Stale: len(written.Stale) > 0}
	}
	return nil
}

// attach attaches the programs to the view's interfaces, and says which have them.
func (d *Datapath) attach(v *policy.View, links map[string]int) (attached map[string]int, problems []error) {
	attached = map[string]int{}
	for _, i := range v.Instances {
		for n := range i.NICs {
			name := i.NICs[n].Interface
			ifindex, exists := links[name]
			if !exists {
				continue
			}
			repaired, err := d.links.ensure(ifindex)
			d.repaired = append(d.repaired, repaired...)
			switch {
			case err == nil:
				attached[name] = ifindex
			case !errors.Is(err, errNoInterface):
				problems = append(problems, fmt.Errorf("attach to interface %s, which is not filtered: %w", name, err))
			}
		}
	}
	return attached, problems
}

// write brings the maps to the view and returns what they hold.
func (d *Datapath) write(v *policy.View, links map[string]int) (*Tables, error) {
	reread := d.actual == nil
	if err := d.know(); err != nil {
		return nil, err
	}
	d.register.begin()
	desired, p, err := d.prepare(v, links)
	if err != nil {
		d.register.cancel()
		return nil, err
	}
	if reread {
		// Flows may have been judged by what a write that broke off has taken.
		p.narrowed = slices.Sorted(maps.Keys(desired.Slots))
	}
	if err := d.commit(p); err != nil {
		if errors.Is(err, ebpf.ErrKeyNotExist) { // somebody else took what was to be removed
			d.repaired = append(d.repaired, "maps lacked entries")
		}
		d.actual = nil
		return nil, err
	}
	d.actual, d.origins = desired, desired.Origins
	return desired, nil
}

// know reads what is in force unless that is known.
func (d *Datapath) know() error {
	if d.actual != nil {
		return nil
	}
	r, err := d.kernel.readNumbers(d.limits)
	if err != nil {
		return err
	}
	actual, err := d.kernel.read(r)
	if err != nil {
		return err
	}
	d.register, d.actual = r, actual
	d.kernel.grace = grace{given: true, taken: true}
	return nil
}

// prepare finds out what to write, and that it fits. It writes nothing.
func (d *Datapath) prepare(v *policy.View, links map[string]int) (*Tables, *plan, error) {
	desired, err := Compile(v, links, d.register, d.limits, Standing{d.actual.PolicySets, d.origins})
	if err != nil {
		return nil, nil, err
	}
	p, err := newPlan(d.actual, desired, borrowed{d.register})
	if err != nil {
		return nil, nil, err
	}
	return desired, p, p.check(d.actual, d.limits)
}

// commit writes: numbers before what uses them, and frees them after.
func (d *Datapath) commit(p *plan) error {
	if err := d.kernel.saveNumbers(d.register); err != nil {
		return err
	}
	if err := p.run(d.kernel); err != nil {
		return err
	}
	unused := d.register.unused()
	if err := d.kernel.dropNumbers(unused); err != nil {
		return err
	}
	d.register.release(unused)
	d.log.Debug("policy written", "gives", p.gives(), "switches", p.switches(), "takes", p.takes(), "nics", p.nics.put.len())
	return nil
}

// Close stops using the maps and programs. They go on enforcing.
func (d *Datapath) Close() error {
	d.asking.Lock()
	defer d.asking.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	return errors.Join(
		d.links.close(),
		d.prober.close(),
		d.kernel.stubs.close(),
		d.kernel.maps.Close(),
		d.programs.Close(),
		d.lock.Close(),
	)
}
