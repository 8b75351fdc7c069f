package datapath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// errNoInterface reports that an interface went away before we came to it.
var errNoInterface = errors.New("no such interface")

// links are the attachments of the programs: one pinned tcx link for each
// interface and hook. Pins are named by ifindex, which a recreated or renamed
// interface never shares with its past. We hold the links besides their pins:
// somebody who removes a pin must not detach the program.
type links struct {
	dir   string
	hooks []hook
	held  map[string]link.Link      // by pin name
	ids   map[string]ebpf.ProgramID // of our programs, by name of the hook; filled in by audits
}

// hook is where a program is attached on an interface.
type hook struct {
	name    string // no dot: bpffs does not allow any
	at      ebpf.AttachType
	program *ebpf.Program
}

// openLinks takes over the pinned links. They run what they ran, until replace.
func openLinks(dir string, programs *bpfPrograms) (*links, error) {
	l := &links{dir: dir, held: map[string]link.Link{}, ids: map[string]ebpf.ProgramID{}, hooks: []hook{
		{"from_instance", ebpf.AttachTCXIngress, programs.FromInstance},
		{"to_instance", ebpf.AttachTCXEgress, programs.ToInstance},
	}}
	pins, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	for _, pin := range pins {
		if err := l.adopt(pin.Name()); err != nil {
			return nil, errors.Join(err, l.close())
		}
	}
	return l, nil
}

func (l *links) adopt(pin string) error {
	_, hookName, _ := strings.Cut(pin, "-")
	for _, h := range l.hooks {
		if h.name != hookName {
			continue
		}
		held, err := link.LoadPinnedLink(l.path(pin), nil)
		if err != nil {
			return fmt.Errorf("load link %s: %w", pin, err)
		}
		l.held[pin] = held
	}
	return nil
}

// replace has all links run our programs, each from one packet to the next. It does so
// even where they seem to run them already: the same instructions may hold other maps.
func (l *links) replace() error {
	programs := map[string]*ebpf.Program{}
	for _, h := range l.hooks {
		programs[h.name] = h.program
	}
	for pin, held := range l.held {
		_, hookName, _ := strings.Cut(pin, "-")
		err := held.Update(programs[hookName])
		if errors.Is(err, unix.ENOLINK) { // its interface is gone
			err = l.drop(pin)
		}
		if err != nil {
			return fmt.Errorf("replace the program of link %s: %w", pin, err)
		}
	}
	return nil
}

// over is the program of a hook that runs somewhere over one of the maps; nil if none does.
func (l *links) over(hookName string, maps map[ebpf.MapID]bool) (*ebpf.Program, error) {
	for pin, held := range l.held {
		if _, name, _ := strings.Cut(pin, "-"); name != hookName {
			continue
		}
		info, err := held.Info()
		if err != nil {
			return nil, fmt.Errorf("identify link %s: %w", pin, err)
		}
		program, err := ebpf.NewProgramFromID(info.Program)
		if err != nil {
			return nil, fmt.Errorf("open the program of link %s: %w", pin, err)
		}
		uses, err := usesAny(program, maps)
		if uses {
			return program, nil
		}
		if err = errors.Join(err, program.Close()); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func usesAny(program *ebpf.Program, maps map[ebpf.MapID]bool) (bool, error) {
	info, err := program.Info()
	if err != nil {
		return false, fmt.Errorf("identify program: %w", err)
	}
	used, _ := info.MapIDs()
	return slices.ContainsFunc(used, func(id ebpf.MapID) bool { return maps[id] }), nil
}

func (l *links) path(pin string) string { return filepath.Join(l.dir, pin) }

// ensure attaches the programs to an interface where they are not yet, and says what
// somebody else had taken away. An interface that was made anew with the number of
// one that was there just now counts as such, too.
func (l *links) ensure(ifindex int) (repaired []string, err error) {
	index := strconv.Itoa(ifindex)
	for _, h := range l.hooks {
		pin := index + "-" + h.name
		_, held := l.held[pin]
		switch {
		case !l.isAttached(pin, ifindex):
			if err = l.attach(pin, h, ifindex); held && err == nil {
				repaired = append(repaired, lacked(index, h.name))
			}
		case !exists(l.path(pin)):
			repaired = append(repaired, unpinned(pin))
			err = l.repin(pin)
		}
		if err != nil {
			return repaired, err
		}
	}
	return repaired, nil
}

// isAttached tells whether we hold a link that is on the interface. That of an
// interface that was deleted is on none, though its pin still looks alive.
func (l *links) isAttached(pin string, ifindex int) bool {
	held, ok := l.held[pin]
	if !ok {
		return false
	}
	info, err := held.Info()
	return err == nil && info.TCX() != nil && int(info.TCX().Ifindex) == ifindex
}

// attach puts the program before all others: what it drops, none of them sees. Where
// it may not be, nothing changes.
func (l *links) attach(pin string, h hook, ifindex int) error {
	if err := l.drop(pin); err != nil {
		return err
	}
	if err := checkKind(ifindex); err != nil {
		return err
	}
	attached, err := link.AttachTCX(link.TCXOptions{
		Interface: ifindex, Program: h.program, Attach: h.at, Anchor: link.Head(),
	})
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOENT) {
		return errNoInterface
	}
	if err != nil {
		return err
	}
	if err := attached.Pin(l.path(pin)); err != nil {
		return errors.Join(fmt.Errorf("pin link: %w", err), attached.Close())
	}
	l.held[pin] = attached
	return nil
}

// repin restores a pin that somebody else removed. A link remembers its pin, so it
// takes another handle to pin it there again.
func (l *links) repin(pin string) error {
	info, err := l.held[pin].Info()
	if err != nil {
		return fmt.Errorf("identify link %s: %w", pin, err)
	}
	again, err := link.NewFromID(info.ID)
	if err != nil {
		return fmt.Errorf("open link %s: %w", pin, err)
	}
	if err := again.Pin(l.path(pin)); err != nil {
		return errors.Join(fmt.Errorf("pin link %s: %w", pin, err), again.Close())
	}
	err = l.held[pin].Close()
	l.held[pin] = again
	return err
}

// drop lets go of a link and its pin.
func (l *links) drop(pin string) error {
	if held, ok := l.held[pin]; ok {
		if err := held.Close(); err != nil {
			return fmt.Errorf("close link %s: %w", pin, err)
		}
		delete(l.held, pin)
	}
	if err := os.Remove(l.path(pin)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("unpin link %s: %w", pin, err)
	}
	return nil
}

// sweep removes the links of interfaces that are gone. Those of an interface that
// merely has no instance any more stay, and drop everything. Those that somebody else
// detached stay for the next audit to find.
func (l *links) sweep() error {
	for pin, held := range l.held {
		info, err := held.Info()
		if err != nil {
			return fmt.Errorf("identify link %s: %w", pin, err)
		}
		index, _, _ := strings.Cut(pin, "-")
		if info.TCX() != nil && info.TCX().Ifindex != 0 || interfaceExists(index) {
			continue
		}
		if err := l.drop(pin); err != nil {
			return err
		}
	}
	return nil
}

// close leaves the pins, and with them the attachments.
func (l *links) close() error {
	if l == nil {
		return nil
	}
	var errs []error
	for _, held := range l.held {
		errs = append(errs, held.Close())
	}
	return errors.Join(errs...)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
