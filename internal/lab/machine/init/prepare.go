package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gabion/gabion/internal/lab/machine/control"
)

// modules stand in the order that they need each other.
var modules = []string{
	"virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci",
	"failover", "net_failover", "virtio_net", "af_packet",
}

func prepare() error {
	for dir, kind := range map[string]string{"/dev": "devtmpfs", "/proc": "proc", "/sys": "sysfs"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(kind, dir, kind, 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	for _, name := range modules {
		if err := load("/modules/" + name + ".ko"); err != nil {
			return err
		}
	}
	return configure()
}

// load loads a module, if the kernel does not have it built in.
func load(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("load %s: %w", path, err)
	}
	return nil
}

// configure gives eth0, as soon as it is there, the addresses of the kernel's command line.
func configure() error {
	link, err := awaitLink("eth0", 10*time.Second)
	if err != nil {
		return err
	}
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/eth0/accept_dad", []byte("0"), 0); err != nil {
		return err
	}
	arguments, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	for argument := range strings.FieldsSeq(string(arguments)) {
		name, value, _ := strings.Cut(argument, "=")
		if name != control.ArgAddress {
			continue
		}
		address, err := netlink.ParseAddr(value)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, address); err != nil {
			return fmt.Errorf("add %s: %w", value, err)
		}
	}
	return netlink.LinkSetUp(link)
}

// awaitLink polls: a machine this small has nothing that tells of new devices.
func awaitLink(name string, patience time.Duration) (netlink.Link, error) {
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if _, err := net.InterfaceByName(name); err == nil {
			return netlink.LinkByName(name)
		} else if time.Now().After(deadline) {
			return nil, fmt.Errorf("await %s: %w", name, err)
		}
	}
}
