package datapath

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// bpfMount is where a BPF file system belongs, and where we mount one.
const bpfMount = "/sys/fs/bpf"

// capabilities that loading, pinning and attaching take. Finding a map of maps'
// elements by id needs CAP_SYS_ADMIN.
const capabilities = 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_BPF

// kernelTypes is where a kernel describes its own types.
const kernelTypes = "/sys/kernel/btf/vmlinux"

// checkHost reports what this host lacks, and what to do about it.
func checkHost() error {
	effective, err := effectiveCapabilities()
	if err != nil {
		return err
	}
	kernel, err := features.LinuxVersionCode()
	if err != nil {
		return fmt.Errorf("find out the kernel's version: %w", err)
	}
	if err := missing(effective, kernel, exists(kernelTypes)); err != nil {
		return err
	}
	// Kernels before 5.11 charge maps to this limit; we need newer ones, but distributions differ.
	if err := rlimit.RemoveMemlock(); err != nil {
		return fmt.Errorf("raise the limit of locked memory: %w", err)
	}
	return nil
}

// missing says what keeps eBPF filters from running, by the capabilities of this
// process, the kernel's version (as LINUX_VERSION_CODE), and whether it describes its
// types, without which programs can't read what it will do with a frame.
func missing(effective uint64, kernel uint32, types bool) error {
	if effective&capabilities != capabilities {
		return errors.New("filtering needs root (CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_BPF); start the agent as root")
	}
	if kernel < 6<<16|6<<8 {
		return fmt.Errorf("kernel %d.%d has no tcx; install Linux 6.6 or newer", kernel>>16, kernel>>8&0xff)
	}
	if !types {
		return fmt.Errorf("the kernel does not describe its types: there is no %s; install a kernel with CONFIG_DEBUG_INFO_BTF", kernelTypes)
	}
	return nil
}

func effectiveCapabilities() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("find out capabilities: %w", err)
	}
	return uint64(data[1].Effective)<<32 | uint64(data[0].Effective), nil
}

// mountBPF makes sure that dir is on a BPF file system, and mounts one if it is to
// be where they belong.
func mountBPF(dir string) error {
	if isBPF(dir) {
		return nil
	}
	if !strings.HasPrefix(dir, bpfMount+"/") {
		return fmt.Errorf("pin in %s: that is not on a BPF file system; mount one there: mount -t bpf bpf %s", dir, filepath.Dir(dir))
	}
	if err := unix.Mount("bpf", bpfMount, "bpf", 0, "mode=0700"); err != nil {
		return fmt.Errorf("mount a BPF file system at %s (is CONFIG_BPF_SYSCALL in this kernel?): %w", bpfMount, err)
	}
	return nil
}

// isBPF tells whether the path, or what of it exists, is on a BPF file system.
func isBPF(path string) bool {
	for !exists(path) && path != filepath.Dir(path) {
		path = filepath.Dir(path)
	}
	var fs unix.Statfs_t
	return unix.Statfs(path, &fs) == nil && fs.Type == unix.BPF_FS_MAGIC
}
