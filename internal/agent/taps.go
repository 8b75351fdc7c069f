package agent

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/gabion/gabion/internal/hypervisor"
	"github.com/gabion/gabion/internal/policy"
)

// Host is where instances' interfaces are; hypervisor.Hypervisor says what each means.
type Host interface {
	Links() (map[string]hypervisor.Link, error)

	CreateTap(name string) (index int, err error)
	IsFiltered(l hypervisor.Link) (bool, error)
	ReleaseTap(l hypervisor.Link) error
	RemoveTap(l hypervisor.Link) error

	NetfilterSwitches() ([]string, error)
	TurnOff(switches []string) error
	SpareBridge(index int) error

	FastenBelt(b hypervisor.Belt) (tampered bool, err error)
	LoosenBelt() error
	Admit(l hypervisor.Link) error
	Dismiss(l hypervisor.Link) error
	GiveVLAN(l hypervisor.Link, vlan uint16) error
}

// taps makes and removes the interfaces that the policy leaves to the agent. The
// kernel remembers which they are: nothing is kept here.
type taps struct {
	host Host
	log  *slog.Logger
}

// make makes the taps that the policy wants and that are missing, and brings
// links up to date if there were any.
func (t taps) make(v *policy.View, links *map[string]hypervisor.Link) error {
	if len(missing(v, *links)) == 0 {
		return nil
	}
	// What we were told of may be older than the taps that we made last.
	now, err := t.host.Links()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range missing(v, now) {
		index, err := t.host.CreateTap(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		t.log.Info("tap made", "interface", name, "index", index)
	}
	if now, err = t.host.Links(); err != nil {
		return errors.Join(append(errs, err)...)
	}
	*links = now
	return errors.Join(errs...)
}

// missing are the interfaces that the policy leaves to the agent and that are
// not there, released or not.
func missing(v *policy.View, links map[string]hypervisor.Link) []string {
	indexes := indexes(links)
	var names []string
	for name := range managed(v) {
		if _, ok := indexes[name]; !ok {
			names = append(names, name)
		}
	}
	return names
}

// release gives the taps the names that they were made for. One that is not
// filtered stays hidden: something may be left out of a policy that is in force.
func (t taps) release(v *policy.View, links map[string]hypervisor.Link) error {
	wanted := managed(v)
	var errs []error
	for _, l := range links {
		if wanted[l.Managed] && l.Name != l.Managed {
			errs = append(errs, unlessGone(t.releaseOne(l)))
		}
	}
	return errors.Join(errs...)
}

func (t taps) releaseOne(l hypervisor.Link) error {
	switch filtered, err := t.host.IsFiltered(l); {
	case err != nil:
		return err
	case !filtered:
		return fmt.Errorf("release tap %s: nothing filters it yet", l.Managed)
	}
	return t.host.ReleaseTap(l)
}

// remove removes the taps that the policy wants no longer.
func (t taps) remove(v *policy.View, links map[string]hypervisor.Link) error {
	wanted := managed(v)
	var errs []error
	for _, l := range links {
		if l.Managed == "" || wanted[l.Managed] {
			continue
		}
		t.log.Info("tap removed", "interface", l.Managed, "index", l.Index)
		errs = append(errs, t.host.RemoveTap(l))
	}
	return errors.Join(errs...)
}

// unlessGone is no error where an interface went away before we came to it. Nothing is
// left to do for it, and the kernel will tell.
func unlessGone(err error) error {
	if hypervisor.IsGone(err) {
		return nil
	}
	return err
}

// managed are the names of the interfaces that the policy leaves to the agent.
func managed(v *policy.View) map[string]bool {
	names := map[string]bool{}
	for _, i := range v.Instances {
		for n := range i.NICs {
			if i.NICs[n].Managed {
				names[i.NICs[n].Interface] = true
			}
		}
	}
	return names
}

// indexes are the interfaces by the name that the policy has for them: a tap
// counts before it is released.
func indexes(links map[string]hypervisor.Link) map[string]int {
	all := make(map[string]int, len(links))
	for _, l := range links {
		if l.Managed != "" {
			all[l.Managed] = l.Index
		}
	}
	for name, l := range links {
		all[name] = l.Index
	}
	return all
}
