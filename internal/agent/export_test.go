package agent

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/hypervisor"
	"github.com/gabion/gabion/internal/policy"
)

const PinDir = pinDir

var PinsOf = pinsOf

// Enforcer is the loop of an agent, with what it stands on given by a test.
type Enforcer struct {
	*enforcer
	Started <-chan struct{} // closed when it has
}

// NewEnforcer makes a host's enforcer that begins with what is in the state directory.
func NewEnforcer(host, dir string, d Datapath, h Host, s Server) (Enforcer, error) {
	states := stateFile{path: filepath.Join(dir, stateFileName), host: host}
	state, err := states.load()
	e := newEnforcer(d, h, states, state, slog.New(slog.DiscardHandler))
	e.server = s
	started := make(chan struct{})
	e.started = sync.OnceFunc(func() { close(started) })
	return Enforcer{e, started}, err
}

func (e Enforcer) Held() feed.Position { return e.held() }

// Spare does what the enforcer does for the bridges of a view.
func Spare(h Host, v *policy.View, links map[string]hypervisor.Link) {
	(&bridges{host: h, log: slog.New(slog.DiscardHandler)}).spare(v, links)
}

// Probe serves the probe until ctx ends.
func Probe(ctx context.Context, path string, ready func() error) error {
	return probe{path, ready, slog.New(slog.DiscardHandler)}.run(ctx)
}

const Patience = 10 * time.Second

// LockDir uses the state directory like an agent.
func LockDir(path string) (unlock func() error, err error) {
	d, err := openStateDir(path)
	if err != nil {
		return nil, err
	}
	return d.close, nil
}

// ProtectionConfig is what the operator says of interfaces.
type ProtectionConfig struct {
	Prefixes, Uplinks []string
	VLAN              uint16
}

// Protect secures the interfaces of a view, and reports.
func Protect(h Host, c ProtectionConfig, v *policy.View, links map[string]hypervisor.Link) (feed.Protection, error) {
	p := protection{host: h, log: slog.New(slog.DiscardHandler), prefixes: c.Prefixes, uplinks: c.Uplinks, vlan: c.VLAN}
	secured := p.secure(v, links)
	report, err := p.report(v, links)
	return report, errors.Join(secured, err)
}

// SaveState writes the host's state file in the directory.
func SaveState(dir, host string, s *feed.State) error {
	_, err := stateFile{path: filepath.Join(dir, stateFileName), host: host}.save(s)
	return err
}
