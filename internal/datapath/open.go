package datapath

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// abiVersion is ABI_VERSION of bpf/abi.h. Pins carry it: maps of another layout are
// other maps.
const abiVersion = 2

// Config is what the datapath is told once.
type Config struct {
	Dir         string // where links and maps are pinned, on a BPF file system; one agent's alone
	Log         *slog.Logger
	DHCPServers []netip.Addr // that may answer instances; none means any
	Routers     []netip.Addr // link-local, that may advertise themselves to instances; none means any
	Uncounted   bool         // without counters and events, to measure what they cost
}

// Open loads the programs and takes over what is pinned in cfg.Dir, or pins it anew.
// What was enforced before goes on being enforced, by the new programs. Where the maps
// of an agent with another layout are pinned, its programs go on deciding by them until
// the first Apply, which takes over from them.
func Open(cfg Config) (_ *Datapath, err error) {
	if err := checkHost(); err != nil {
		return nil, err
	}
	created, err := makeDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && created {
			err = errors.Join(err, os.RemoveAll(cfg.Dir))
		}
	}()
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	d := &Datapath{log: cfg.Log, lock: lock, kernel: &kernel{}}
	if err := d.open(cfg); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Datapath) open(cfg Config) error {
	spec, err := pinnedSpec()
	if err != nil {
		return err
	}
	if err := spec.Variables[bpfVarCounting].Set(!cfg.Uncounted); err != nil {
		return fmt.Errorf("set what is counted: %w", err)
	}
	var objects struct {
		bpfPrograms
		bpfMaps
		bpfVariables
	}
	err = spec.LoadAndAssign(&objects, &ebpf.CollectionOptions{Maps: ebpf.MapOptions{PinPath: cfg.Dir}})
	if errors.Is(err, ebpf.ErrMapIncompatible) {
		return fmt.Errorf("use the maps in %s: another build made them with another layout; run that build, or stop this host's instances and remove the directory: %w", cfg.Dir, err)
	}
	if err != nil {
		return fmt.Errorf("load eBPF programs: %w", err)
	}
	d.programs, d.kernel.maps = objects.bpfPrograms, objects.bpfMaps
	d.tellAllowed, d.takingOver = objects.TellAllowed, objects.TakingOver
	d.types = spec.Types
	d.limits = limitsOf(spec)
	d.kernel.inner = innerSpecsOf(spec)
	if d.kernel.stubs, err = openStubs(&d.kernel.maps, d.kernel.inner); err != nil {
		return err
	}
	if err := d.kernel.nameServers(cfg.DHCPServers, cfg.Routers); err != nil {
		return err
	}
	if d.formerLayouts, err = formerLayouts(cfg.Dir); err != nil {
		return err
	}
	if d.links, err = openLinks(filepath.Join(cfg.Dir, linksDir), &d.programs); err != nil {
		return err
	}
	if d.formerLayouts != nil {
		return nil
	}
	return errors.Join(d.links.replace(), removeFormer(cfg.Dir))
}

// layout ends the names of pinned maps.
var layout = "_v" + strconv.Itoa(abiVersion)

// pinnedSpec is what is to be loaded, with each map pinned under its versioned name.
func pinnedSpec() (*ebpf.CollectionSpec, error) {
	spec, err := loadBpf()
	if err != nil {
		return nil, fmt.Errorf("read embedded eBPF programs: %w", err)
	}
	for name, m := range spec.Maps {
		if strings.HasPrefix(name, ".") || name == bpfMapPackets || m.Type == ebpf.ProgramArray {
			continue // the programs' own: constants, scratch and former programs, laid out by each build
		}
		m.Name = name + layout
		m.Pinning = ebpf.PinByName
	}
	return spec, nil
}

func limitsOf(spec *ebpf.CollectionSpec) Limits {
	entries := func(name string) int { return int(spec.Maps[name].MaxEntries) }
	return Limits{
		NICs:       entries(bpfMapNicStates),
		PolicySets: entries(bpfMapPolicySets),
		RemoteSets: entries(bpfMapRemoteSets),
		Rules:      entries(bpfMapRuleHits),
		Members:    entries(bpfMapMembers4),
		IDs:        entries(bpfMapIds),
		Policies:   int(spec.Maps[bpfMapPolicies].InnerMap.MaxEntries),
		CIDRs:      int(spec.Maps[bpfMapCidrs].InnerMap.MaxEntries),
	}
}

// linksDir is where in the directory links are pinned.
const linksDir = "links"

// makeDir makes the directory, and tells whether it did.
func makeDir(dir string) (created bool, err error) {
	if strings.Contains(filepath.Base(dir), ".") {
		return false, fmt.Errorf("pin in %s: a BPF file system allows no dot in names; choose another directory", dir)
	}
	if err := mountBPF(dir); err != nil {
		return false, err
	}
	created = !exists(dir)
	if err := os.MkdirAll(filepath.Join(dir, linksDir), 0o700); err != nil {
		return false, fmt.Errorf("make directory for pins: %w", err)
	}
	return created, nil
}

// lockDir makes sure that we alone write what is pinned there.
func lockDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open directory of pins: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: another agent uses it; stop that one, or give this one another name", dir), f.Close())
	}
	return f, nil
}

// Remove unpins all that is pinned in dir, which ends enforcement and forgets flows.
// It is no error if there is nothing.
func Remove(dir string) error {
	if !exists(dir) {
		return nil
	}
	lock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove pins: %w", err)
	}
	return nil
}
