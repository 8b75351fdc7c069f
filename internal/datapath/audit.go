package datapath

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"
)

// share is which part of the time reading all maps back may take. Where they are
// large they are read more rarely, then.
const share = 200

// Audit looks whether what is in force is still what Apply left there, and says what
// is not, each in a few words. Pins it restores; the rest it takes note of, and the
// next Apply repairs it. Small maps are compared whole each time, and which
// interfaces are filtered, too.
func (d *Datapath) Audit() (drift []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.actual == nil {
		return nil, nil // the next Apply reads everything
	}
	pins, err := d.auditPins()
	if err != nil {
		return pins, err
	}
	links, err := d.links.audit()
	if err != nil {
		return append(pins, links...), err
	}
	maps, err := d.auditMaps()
	return append(append(pins, links...), maps...), err
}

// auditPins restores the pins of maps that somebody else removed.
func (d *Datapath) auditPins() (drift []string, err error) {
	dir := filepath.Dir(d.links.dir)
	if !exists(d.links.dir) {
		if _, err := makeDir(dir); err != nil {
			return nil, err
		}
	}
	maps := reflect.ValueOf(d.kernel.maps)
	for i := range maps.NumField() {
		m := maps.Field(i).Interface().(*ebpf.Map)
		path := filepath.Join(dir, maps.Type().Field(i).Tag.Get("ebpf")+"_v"+strconv.Itoa(abiVersion))
		if !m.IsPinned() || exists(path) {
			continue
		}
		drift = append(drift, "pin of map "+filepath.Base(path)+" removed")
		if err := repinMap(m, path); err != nil {
			return drift, err
		}
	}
	return drift, nil
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
	for pin, held := range l.held {
		index, hookName, _ := strings.Cut(pin, "-")
		info, err := held.Info()
		if err != nil {
			return drift, fmt.Errorf("identify link %s: %w", pin, err)
		}
		detached := info.TCX() == nil || info.TCX().Ifindex == 0
		switch {
		case detached && interfaceExists(index):
			drift = append(drift, "interface "+index+" had no "+hookName)
		case detached: // it went with its interface
		case !exists(l.path(pin)):
			drift = append(drift, "pin of link "+pin+" removed")
			err = l.repin(pin)
		default:
			var altered bool
			if altered, err = l.correct(hookName, pin); altered {
				drift = append(drift, "interface "+index+" had another program as "+hookName)
			}
		}
		if err != nil {
			return drift, err
		}
	}
	return drift, nil
}

func interfaceExists(index string) bool {
	n, err := strconv.Atoi(index)
	if err != nil {
		return false
	}
	_, err = net.InterfaceByIndex(n)
	return err == nil
}

// correct puts our program back if the link runs another one.
func (l *links) correct(hookName, pin string) (altered bool, err error) {
	for _, h := range l.hooks {
		if h.name != hookName {
			continue
		}
		info, err := l.held[pin].Info()
		if err != nil {
			return false, fmt.Errorf("identify link %s: %w", pin, err)
		}
		program, err := h.program.Info()
		if err != nil {
			return false, fmt.Errorf("identify program %s: %w", hookName, err)
		}
		if id, _ := program.ID(); id == info.Program {
			return false, nil
		}
		return true, l.held[pin].Update(h.program)
	}
	return false, nil
}

// auditMaps reads back what is in force, as often as that is cheap. What is different
// counts as actual from then on.
func (d *Datapath) auditMaps() (drift []string, err error) {
	begun := time.Now()
	if begun.Before(d.nextRead) {
		return nil, nil
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
	found.Rules, found.Refused = d.actual.Rules, d.actual.Refused
	d.actual = found
	return []string{fmt.Sprintf("maps lacked %d entries, had %d others and %d more", p.gives()+p.nics.put.len(), p.switches(), p.takes())}, nil
}
