package hypervisor

import (
	"errors"
	"fmt"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// aliasPrefix begins the alias of a tap that CreateTap made; the name that it is
// made for follows. The alias lives as long as the tap, so nothing else has to
// remember which taps may be removed.
const aliasPrefix = "gabion:"

// provisional is the kernel's pattern for names that taps have until they are released.
const provisional = "gabion%d"

// CreateTap makes a persistent tap for the interface called name, and returns its
// index. It has another name until ReleaseTap: nobody can put it into a bridge
// before there is a filter on it.
func (h *Hypervisor) CreateTap(name string) (index int, err error) {
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return 0, fmt.Errorf("create tap %s: %w", name, err)
	}
	// Until it is made persistent, the tap goes away with the file.
	defer func() { err = errors.Join(err, f.Close()) }()
	index, err = h.setUpTap(int(f.Fd()), name)
	if err != nil {
		return 0, fmt.Errorf("create tap %s: %w", name, err)
	}
	return index, nil
}

func (h *Hypervisor) setUpTap(fd int, name string) (index int, err error) {
	request, err := unix.NewIfreq(provisional)
	if err != nil {
		return 0, err
	}
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return 0, err
	}
	link, err := h.routes.LinkByName(request.Name())
	if err != nil {
		return 0, err
	}
	if err := h.routes.LinkSetAlias(link, aliasPrefix+name); err != nil {
		return 0, err
	}
	return link.Attrs().Index, unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1)
}

// ReleaseTap gives the tap the name that it was made for, and sets it up.
func (h *Hypervisor) ReleaseTap(l Link) error {
	link := byIndex(l.Index)
	if err := h.routes.LinkSetName(link, l.Managed); err != nil {
		return fmt.Errorf("name tap %s: %w", l.Managed, err)
	}
	if err := h.routes.LinkSetUp(link); err != nil {
		return fmt.Errorf("set up tap %s: %w", l.Managed, err)
	}
	return nil
}

// RemoveTap removes a tap that CreateTap made; it is no error if it is gone.
func (h *Hypervisor) RemoveTap(l Link) error {
	err := h.routes.LinkDel(byIndex(l.Index))
	if err != nil && !IsGone(err) {
		return fmt.Errorf("remove tap %s: %w", l.Managed, err)
	}
	return nil
}

func byIndex(index int) netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
}
