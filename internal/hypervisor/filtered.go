package hypervisor

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// IsGone tells whether it is because the interface went away that it could not be
// looked at or changed.
func IsGone(err error) bool { return errors.Is(err, unix.ENODEV) }

// IsFiltered tells whether some program sees all that the interface sends and all
// that it gets.
func (h *Hypervisor) IsFiltered(l Link) (bool, error) {
	for _, hook := range []ebpf.AttachType{ebpf.AttachTCXIngress, ebpf.AttachTCXEgress} {
		found, err := link.QueryPrograms(link.QueryOptions{Target: l.Index, Attach: hook})
		if err != nil {
			return false, fmt.Errorf("find filters of interface %s: %w", l.Name, err)
		}
		if len(found.Programs) == 0 {
			return false, nil
		}
	}
	return true, nil
}
