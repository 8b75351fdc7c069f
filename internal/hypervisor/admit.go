package hypervisor

import (
	"errors"
	"fmt"
)

// admitted is the group of interfaces that an admitted one is in: "gb". A device
// begins in group 0, whatever name or number it has, so none is admitted by what
// another one was.
const admitted = 'g'<<8 | 'b'

// Admit lets frames pass that the bridge, or the belt, held back. The interface has
// to be filtered: it is looked at again afterwards, since another may have taken its
// number.
func (h *Hypervisor) Admit(l Link) error {
	if err := h.setGroup(l, admitted); err != nil {
		return fmt.Errorf("admit interface %s: %w", l.Name, err)
	}
	filtered, err := h.IsFiltered(l)
	if err != nil || !filtered {
		return errors.Join(err, h.Dismiss(l))
	}
	return nil
}

// Dismiss takes back what Admit did; it is no error if the interface is gone.
func (h *Hypervisor) Dismiss(l Link) error {
	if err := h.setGroup(l, 0); err != nil && !IsGone(err) {
		return fmt.Errorf("dismiss interface %s: %w", l.Name, err)
	}
	return nil
}

// GiveVLAN lets the port of a bridge that filters VLANs into one, its frames untagged.
func (h *Hypervisor) GiveVLAN(l Link, vlan uint16) error {
	if err := h.routes.BridgeVlanAdd(byIndex(l.Index), vlan, true, true, false, true); err != nil {
		return fmt.Errorf("give VLAN %d to port %s: %w", vlan, l.Name, err)
	}
	return nil
}

func (h *Hypervisor) setGroup(l Link, group int) error {
	return h.routes.LinkSetGroup(byIndex(l.Index), group)
}
