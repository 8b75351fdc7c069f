package datapath

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
)

// checkKind refuses interfaces that can't be an instance's, whoever claims them: what
// has no policy there passes nothing, and a host's own interface would be cut off.
func checkKind(ifindex int) error {
	l, err := netlink.LinkByIndex(ifindex)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return errNoInterface
	}
	if err != nil {
		return fmt.Errorf("find out its kind: %w", err)
	}
	switch kind := l.Type(); kind {
	case "tuntap", "veth":
		return nil
	case "device":
		return errors.New("it is a device of the host's own; an instance's interface is a tap or a veth")
	default:
		return fmt.Errorf("it is a %s; an instance's interface is a tap or a veth", kind)
	}
}
