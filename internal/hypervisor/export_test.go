package hypervisor

import "golang.org/x/sys/unix"

// AdmittedGroup is the group that admitted interfaces are in.
const AdmittedGroup = admitted

// ShrinkBuffer leaves room for few notifications.
func (h *Hypervisor) ShrinkBuffer() error {
	return unix.SetsockoptInt(h.events.GetFd(), unix.SOL_SOCKET, unix.SO_RCVBUF, 1)
}

// Forget has the next FastenBelt compare the belt with what is in force.
func (h *Hypervisor) Forget() { h.belt.generation-- }
