// Package machine runs real virtual machines in the lab: QEMU with Debian's cloud
// kernel, and a virtio NIC on a tap of a lab's host. It knows nothing of policy.
package machine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/lab"
	"github.com/gabion/gabion/internal/lab/machine/control"
)

// Config is what a machine is made of.
type Config struct {
	Name      string
	Interface string // of the tap that QEMU makes in the host's namespace
	MAC       gabion.MAC
	Addresses []netip.Prefix // of eth0
}

// Machine is a running virtual machine.
type Machine struct {
	Config
	qemu    *lab.Process
	port    net.Conn
	answers *json.Decoder
}

// bootTime is how long a machine may take to start under software emulation.
const bootTime = time.Minute

// Start boots a machine on the host and returns when it takes commands. Its tap is
// a port of the host's bridge by then.
func Start(ctx context.Context, l *lab.Lab, host *lab.Host, c Config) (*Machine, error) {
	image, err := buildImage(ctx, l.Dir())
	if err != nil {
		return nil, fmt.Errorf("start machine %s: %w", c.Name, err)
	}
	m := &Machine{Config: c}
	if err := m.boot(ctx, l, host, image); err != nil {
		return nil, errors.Join(fmt.Errorf("start machine %s: %w", c.Name, err), m.Close())
	}
	return m, nil
}

func (m *Machine) boot(ctx context.Context, l *lab.Lab, host *lab.Host, image image) error {
	socket := filepath.Join(l.Dir(), m.Name+".port")
	arguments := []string{"console=ttyS0", "panic=-1", "quiet"}
	for _, a := range m.Addresses {
		arguments = append(arguments, control.ArgAddress+"="+a.String())
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	defer listener.Close()
	m.qemu, err = l.Start(host.Namespace(), m.Name, emulator,
		"-M", "pc", "-accel", "tcg", "-m", "256", "-nodefaults", "-no-reboot", "-display", "none",
		"-kernel", image.kernel, "-initrd", image.initramfs,
		"-append", strings.Join(arguments, " "),
		"-chardev", "stdio,id=console", "-serial", "chardev:console",
		"-chardev", "socket,id=port,path="+socket, "-serial", "chardev:port",
		"-netdev", "tap,id=net,script=no,downscript=no,ifname="+m.Interface,
		"-device", "virtio-net-pci,romfile=,netdev=net,mac="+m.MAC.String(),
	)
	if err != nil {
		return err
	}
	if err := m.awaitReady(ctx, listener.(*net.UnixListener)); err != nil {
		return err
	}
	return host.Enslave(m.Interface)
}

func (m *Machine) awaitReady(ctx context.Context, listener *net.UnixListener) (err error) {
	deadline := time.Now().Add(bootTime)
	if err := listener.SetDeadline(deadline); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { listener.Close() })() //nolint:errcheck // that ends the wait
	if m.port, err = listener.Accept(); err != nil {
		return fmt.Errorf("await its port: %w", err)
	}
	if err := m.port.SetDeadline(deadline); err != nil {
		return err
	}
	m.answers = json.NewDecoder(bufio.NewReader(m.port))
	ready, err := m.answer()
	if err == nil && !ready.Ready {
		err = errors.New("it said something else than that it is ready")
	}
	return err
}

// commandTime is how long a machine may take over one command.
const commandTime = 2 * time.Minute

func (m *Machine) do(c control.Command) (control.Answer, error) {
	if err := m.port.SetDeadline(time.Now().Add(commandTime)); err != nil {
		return control.Answer{}, err
	}
	if err := json.NewEncoder(m.port).Encode(c); err != nil {
		return control.Answer{}, fmt.Errorf("command machine %s: %w", m.Name, err)
	}
	return m.answer()
}

func (m *Machine) answer() (control.Answer, error) {
	var a control.Answer
	if err := m.answers.Decode(&a); err != nil {
		console, _ := os.ReadFile(m.qemu.Log)
		return a, fmt.Errorf("await answer of machine %s: %w; its console: %s", m.Name, err, console)
	}
	if a.Error != "" {
		return a, fmt.Errorf("machine %s: %s", m.Name, a.Error)
	}
	return a, nil
}

// Send puts frames on the machine's link, as they are and in that order.
func (m *Machine) Send(frames ...[]byte) error {
	_, err := m.do(control.Command{Send: &control.Send{Frames: frames}})
	return err
}

// Capture begins to record what arrives, in promiscuous mode.
func (m *Machine) Capture() error {
	_, err := m.do(control.Command{Capture: &control.Capture{}})
	return err
}

// Captured ends the capture: how many frames it saw, and the first of them.
func (m *Machine) Captured() (frames [][]byte, seen int, err error) {
	a, err := m.do(control.Command{Capture: &control.Capture{Stop: true}})
	return a.Frames, a.Seen, err
}

// Upload sends bytes to a TCP echo service, and returns when all have come back.
func (m *Machine) Upload(to netip.AddrPort, bytes int) error {
	_, err := m.do(control.Command{Upload: &control.Upload{To: to.String(), Bytes: bytes}})
	return err
}

// Close pulls the plug.
func (m *Machine) Close() error {
	var err error
	if m.qemu != nil {
		err = m.qemu.Kill()
	}
	if m.port != nil {
		err = errors.Join(err, m.port.Close())
	}
	return err
}
