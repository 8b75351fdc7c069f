package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/internal/lab"
)

// site is a lab with Gabion in it.
type site struct {
	lab         *lab.Lab
	server      *lab.Server
	client      *client.Client
	endpoints   map[string]*lab.Endpoint // by name, the client outside among them
	guests      map[string]*lab.Guest
	connections map[string]net.Conn // that are held open
}

func newSite(ctx context.Context, hosts []string) (*site, error) {
	if err := raiseLoopback(); err != nil {
		return nil, err
	}
	l, err := lab.New()
	if err != nil {
		return nil, err
	}
	s := &site{
		lab: l, endpoints: map[string]*lab.Endpoint{l.Outside.Name: l.Outside},
		guests: map[string]*lab.Guest{}, connections: map[string]net.Conn{},
	}
	for _, step := range []func() error{
		func() error { return s.addHosts(hosts) },
		s.serveEverywhere,
		func() error { return s.checkOpen(ctx) },
		func() error { return s.startGabion(ctx) },
	} {
		if err := step(); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

// raiseLoopback is for a network namespace that was just made.
func raiseLoopback() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find loopback: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("raise loopback: %w", err)
	}
	return nil
}

func (s *site) addHosts(hosts []string) error {
	for _, text := range hosts {
		name, guests, _ := strings.Cut(text, ":")
		host, err := s.lab.AddHost(name)
		if err != nil {
			return err
		}
		for guest := range strings.SplitSeq(guests, ",") {
			g, err := host.AddGuest(guest)
			if err != nil {
				return err
			}
			s.guests[guest], s.endpoints[guest] = g, g.Endpoint
		}
	}
	return nil
}

func (s *site) serveEverywhere() error {
	for _, e := range s.lab.Endpoints() {
		if err := e.Serve(tcpPorts, udpPorts); err != nil {
			return err
		}
	}
	return nil
}

// checkOpen is the control of whatever will not pass later: it is not the lab that stops it.
func (s *site) checkOpen(ctx context.Context) error {
	probes := s.everyPair()
	passed, err := lab.Try(ctx, probes...)
	if err != nil {
		return err
	}
	for i, p := range probes {
		if !passed[i] {
			return fmt.Errorf("check lab: %s does not pass, though nothing is filtered", p)
		}
	}
	return nil
}

// startGabion starts the gabion that is beside this program.
func (s *site) startGabion(ctx context.Context) error {
	me, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	if s.server, err = s.lab.StartServer(ctx, filepath.Join(filepath.Dir(me), "gabion")); err != nil {
		return err
	}
	for _, h := range s.lab.Hosts() {
		agent, err := h.StartAgent(ctx, s.server)
		if err != nil {
			return err
		}
		if err := agent.AwaitOnline(ctx); err != nil {
			return err
		}
	}
	env, err := s.server.Environment()
	if err != nil {
		return err
	}
	config, err := client.ConfigFromEnv(func(name string) string { return env[name] })
	if err != nil {
		return err
	}
	s.client, err = client.New(config)
	return err
}

func (s *site) close() error {
	for _, c := range s.connections {
		c.Close() // its other end goes with the lab
	}
	return s.lab.Close()
}

// machine is a guest as its operator would register it.
type machine struct {
	Name      string   `json:"name"`
	Host      string   `json:"host"`
	Interface string   `json:"interface"`
	MAC       string   `json:"mac"`
	Addresses []string `json:"addresses"`
}

// introduction is what a test has to know of the site.
type introduction struct {
	URL      string    `json:"url"`
	Key      string    `json:"key"`
	Secret   string    `json:"secret"`
	Machines []machine `json:"machines"`
	Outside  machine   `json:"outside"`
}

func (s *site) introduce() (introduction, error) {
	env, err := s.server.Environment()
	if err != nil {
		return introduction{}, err
	}
	in := introduction{
		URL: strings.TrimSuffix(env["EXOSCALE_API_ENDPOINT"], "/v2"),
		Key: env["EXOSCALE_API_KEY"], Secret: env["EXOSCALE_API_SECRET"],
		Outside: machineOf(s.lab.Outside),
	}
	for _, g := range s.lab.Guests() {
		m := machineOf(g.Endpoint)
		m.Host, m.Interface = g.Host.Name, g.Interface
		in.Machines = append(in.Machines, m)
	}
	return in, nil
}

func machineOf(e *lab.Endpoint) machine {
	return machine{Name: e.Name, MAC: e.MAC.String(), Addresses: []string{e.Addr4.String(), e.Addr6.String()}}
}

// logs are the ends of what server and agents said.
func (s *site) logs() (map[string]string, error) {
	paths, err := filepath.Glob(filepath.Join(s.lab.Dir(), "*.log"))
	if err != nil {
		return nil, err
	}
	logs := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
		logs[filepath.Base(path)] = string(text[max(0, len(text)-8000):])
	}
	return logs, nil
}
