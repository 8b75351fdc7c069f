package datapath

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// share is which part of the time reading all maps back may take. Where they are
// large they are read more rarely, then.
const share = 500

// Audit looks whether what is in force is still what Apply left there, and says what
// is not, each in a few words. Pins it restores; the rest it takes note of, and the
// next Apply repairs it. What an Apply has repaired before that it says, too. Which
// interfaces are filtered it looks at each time, and whether a map was emptied; single
// entries of large maps more rarely.
func (d *Datapath) Audit() (drift []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	drift, d.repaired = d.repaired, nil
	if d.actual == nil {
		return drift, nil // the next Apply reads everything
	}
	for _, look := range []func() ([]string, error){d.auditPins, d.links.audit, d.auditMaps} {
		found, err := look()
		drift = append(drift, found...)
		if err != nil {
			return drift, err
		}
	}
	return drift, nil
}

// auditPins restores the pins of maps that somebody else removed.
func (d *Datapath) auditPins() (drift []string, err error) {
	dir := filepath.Dir(d.links.dir)
	if !exists(d.links.dir) {
		if _, err := makeDir(dir); err != nil {
			return nil, err
		}
	}
	pins, err := names(dir)
	if err != nil {
		return nil, err
	}
	maps := reflect.ValueOf(d.kernel.maps)
	for i := range maps.NumField() {
		m := maps.Field(i).Interface().(*ebpf.Map)
		path := filepath.Join(dir, maps.Type().Field(i).Tag.Get("ebpf")+"_v"+strconv.Itoa(abiVersion))
		if !m.IsPinned() || pins[filepath.Base(path)] {
			continue
		}
		drift = append(drift, "pin of map "+filepath.Base(path)+" removed")
		if err := repinMap(m, path); err != nil {
			return drift, err
		}
	}
	return drift, nil
}

// names are those of what is in a directory.
func names(dir string) (map[string]bool, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("list pins: %w", err)
	}
	defer f.Close()
	list, err := f.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list pins: %w", err)
	}
	all := make(map[string]bool, len(list))
	for _, name := range list {
		all[name] = true
	}
	return all, nil
}

// repinMap pins another handle: a map remembers its pin.
func repinMap(m *ebpf.Map, path string) error {
	again, err := m.Clone()
	if err != nil {
		return fmt.Errorf("open map %s: %w", m, err)
	}
	if err := again.Pin(path); err != nil {
		return errors.Join(fmt.Errorf("pin map %s: %w", m, err), again.Close())
	}
	return again.Close()
}

// audit finds interfaces that are there and that our programs do not run at any more.
func (l *links) audit() (drift []string, err error) {
	programs, err := l.programs()
	if err != nil {
		return nil, err
	}
	pins, err := names(l.dir)
	if err != nil {
		return nil, err
	}
	for pin, held := range l.held {
		found, err := l.auditOne(pin, held, programs, pins[pin])
		if found != "" {
			drift = append(drift, found)
		}
		if err != nil {
			return drift, err
		}
	}
	return drift, nil
}

// auditOne puts back what can be put back without attaching anew.
func (l *links) auditOne(pin string, held link.Link, programs map[string]*ebpf.Program, pinned bool) (drift string, err error) {
	info, err := held.Info()
	if err != nil {
		return "", fmt.Errorf("identify link %s: %w", pin, err)
	}
	index, hook, _ := strings.Cut(pin, "-")
	detached := info.TCX() == nil || info.TCX().Ifindex == 0
	switch {
	case detached && interfaceExists(index):
		return lacked(index, hook), l.drop(pin)
	case detached:
		return "", nil // it went with its interface
	case info.Program != l.ids[hook]:
		return "interface " + index + " had another program as " + hook, held.Update(programs[hook])
	case !pinned:
		return unpinned(pin), l.repin(pin)
	}
	return "", nil
}

func lacked(index, hook string) string { return "interface " + index + " had no " + hook }

func unpinned(pin string) string { return "pin of link " + pin + " removed" }

// programs are ours by the name of their hook. Their numbers are asked for once.
func (l *links) programs() (map[string]*ebpf.Program, error) {
	programs := map[string]*ebpf.Program{}
	for _, h := range l.hooks {
		programs[h.name] = h.program
		if _, known := l.ids[h.name]; known {
			continue
		}
		info, err := h.program.Info()
		if err != nil {
			return nil, fmt.Errorf("identify program %s: %w", h.name, err)
		}
		l.ids[h.name], _ = info.ID()
	}
	return programs, nil
}

func interfaceExists(index string) bool {
	n, err := strconv.Atoi(index)
	if err != nil {
		return false
	}
	_, err = net.InterfaceByIndex(n)
	return err == nil
}

// auditMaps reads back what is in force, as often as that is cheap, and at once where
// a look says that something is missing. What is different counts as actual from then on.
func (d *Datapath) auditMaps() (drift []string, err error) {
	begun := time.Now()
	if begun.Before(d.nextRead) {
		if emptied, err := d.kernel.isEmptied(d.actual); err != nil || !emptied {
			return nil, err
		}
	}
	found, err := d.kernel.read(d.register)
	if err != nil {
		return nil, err
	}
	d.nextRead = begun.Add(share * time.Since(begun))
	p, err := newPlan(found, d.actual, borrowed{d.register})
	if err != nil {
		return nil, err
	}
	if p.isEmpty() {
		return nil, nil
	}
	for slot := range found.Slots {
		found.Slots[slot] = d.actual.Slots[slot]
	}
	found.Rules, found.Refused, found.Stale = d.actual.Rules, d.actual.Refused, d.actual.Stale
	d.actual = found
	return []string{fmt.Sprintf("maps lacked %d entries, had %d others and %d more", p.gives()+p.nics.put.len(), p.switches(), p.takes())}, nil
}
