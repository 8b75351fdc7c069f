// Package agent is the composition root of `gabion agent`: it joins the host to
// its server, holds the stream, and sees to it that what the stream says is what
// the datapath enforces, on the interfaces that exist.
//
// Filtering never waits for the server: what was in force stays so without this
// process, and the last policy is kept on disk for a host that starts alone.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sync/errgroup"

	"github.com/gabion/gabion/internal/datapath"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/hypervisor"
	"github.com/gabion/gabion/internal/pki"
)

// pinDir is where agents pin what they enforce with, each in a directory of its own.
const pinDir = "/sys/fs/bpf/gabion"

// task is a long-lived part: it runs until ctx ends, or until it fails for good.
type task interface {
	Run(ctx context.Context) error
	String() string
}

// Agent is an agent that has everything it needs to run.
type Agent struct {
	log      *slog.Logger
	dir      *stateDir
	datapath *datapath.Datapath
	pins     string // where the datapath is pinned, if it was not before
	host     *hypervisor.Hypervisor
	flowLog  *flowLog // nil: there is none
	programs string   // tags of those that are loaded
	tasks    []task
}

// Run runs an agent until ctx ends.
func Run(ctx context.Context, c Config) error {
	a, err := open(ctx, c)
	if err != nil {
		return err
	}
	return errors.Join(a.run(ctx), a.close())
}

// open makes ready what the agent stands on. The datapath comes before the
// server: a host that can't filter must not use its token up, and one that can
// enforces what it has before it asks for more.
func open(ctx context.Context, c Config) (_ *Agent, err error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	a := &Agent{log: c.Log}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.undo(), a.close())
		}
	}()
	if a.dir, err = openStateDir(c.StateDir); err != nil {
		return nil, err
	}
	if a.flowLog, err = openFlowLog(c.FlowLog, c.FlowLogAllowed, c.Log); err != nil {
		return nil, err
	}
	e := enrolment{servers: c.Servers, tokenFile: c.TokenFile, path: a.dir.file(identityFile)}
	if err := e.load(); err != nil {
		return nil, err
	}
	if err := a.openDatapath(c, e.host()); err != nil {
		return nil, err
	}
	if a.host, err = hypervisor.Open(); err != nil {
		return nil, err
	}
	id, err := e.identity(ctx)
	if err != nil {
		return nil, err
	}
	a.compose(c, id, e.path)
	return a, nil
}

// openDatapath takes over what is pinned for the host.
func (a *Agent) openDatapath(c Config, host string) (err error) {
	name := c.Name
	if name == "" {
		name = host
	}
	dir := pinsOf(name)
	_, absent := os.Stat(dir)
	a.datapath, err = datapath.Open(datapath.Config{
		Dir: dir, Log: c.Log, DHCPServers: c.DHCPServers, Routers: c.Routers,
	})
	if err != nil {
		return err
	}
	if absent != nil {
		a.pins = dir
	}
	a.programs, err = a.datapath.Tags()
	return err
}

// pinsOf is where the agent of that name pins. A BPF file system allows no dots
// in names; no host's name has a plus, so no two hosts come together.
func pinsOf(name string) string {
	return filepath.Join(pinDir, strings.ReplaceAll(name, ".", "+"))
}

// undo removes what was made by an agent that did not get to run: pins, which
// nothing was enforced with, and the state directory. What was there before stays.
func (a *Agent) undo() error {
	var errs []error
	if a.pins != "" {
		errs = append(errs, a.datapath.Close(), datapath.Remove(a.pins))
		a.datapath = nil
	}
	if a.dir != nil {
		errs = append(errs, a.dir.undo())
	}
	return errors.Join(errs...)
}

// compose ties the parts together.
func (a *Agent) compose(c Config, id *pki.Identity, identityPath string) {
	states := stateFile{path: a.dir.file(stateFileName), host: id.Host}
	state, err := states.load()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.Log.Error("the state file is of no use; what is enforced now stays until the server is there", "error", err)
	}
	applies := newApplies()
	enforcer := newEnforcer(timed{a.datapath, applies}, a.host, states, state, c.Log)
	enforcer.protection.prefixes, enforcer.protection.uplinks, enforcer.protection.vlan = c.InstancePrefixes, c.Uplinks, c.VLAN
	enforcer.started = sync.OnceFunc(a.announce)
	w := &witness{packets: a.datapath, log: c.Log, flowLog: a.flowLog}
	client := feed.NewClient(feed.ClientConfig{
		Servers:      c.Servers,
		Version:      c.Version,
		Identity:     id,
		Held:         enforcer.held(),
		Receiver:     enforcer,
		Witness:      w,
		Programs:     a.programs,
		SaveIdentity: func(id *pki.Identity) error { return id.Save(identityPath) },
		Log:          c.Log,
	})
	enforcer.server, w.audience = client, client
	a.tasks = []task{
		enforcer,
		client,
		named{"renewal", client.Renew},
		named{"interfaces", func(ctx context.Context) error { return a.host.Watch(ctx, enforcer.Links) }},
		named{"counters", w.count},
		named{"events", w.listen},
		named{"questions", w.prepare},
		named{"flow collector", collector{a.datapath, c.Log}.run},
		named{"metrics", (&metrics{
			address: c.MetricsListen, verdicts: a.datapath.Verdicts, rules: a.datapath.RuleHits,
			witness: w, enforcer: enforcer, client: client, applies: applies, log: c.Log,
		}).run},
		named{"probe", probe{a.dir.file(probeSocket), enforcer.Ready, c.Log}.run},
	}
}

// announce tells the service manager, if one has started the agent, that instances may
// be started now: what they may do is in force.
func (a *Agent) announce() {
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		a.log.Warn("the service manager can't be told that the agent has started", "error", err)
	}
}

// named makes a task of a function.
type named struct {
	name string
	run  func(context.Context) error
}

func (n named) Run(ctx context.Context) error { return n.run(ctx) }
func (n named) String() string                { return n.name }

func (a *Agent) run(ctx context.Context) error {
	tasks, ctx := errgroup.WithContext(ctx)
	for _, t := range a.tasks {
		tasks.Go(func() error {
			if err := t.Run(ctx); err != nil {
				return fmt.Errorf("%s: %w", t, err)
			}
			return nil
		})
	}
	return tasks.Wait()
}

// close lets go of everything; the kernel goes on filtering.
func (a *Agent) close() error {
	var errs []error
	if a.host != nil {
		a.host.Close()
	}
	if a.datapath != nil {
		errs = append(errs, a.datapath.Close())
	}
	if a.dir != nil {
		errs = append(errs, a.dir.close())
	}
	return errors.Join(append(errs, a.flowLog.close())...)
}
