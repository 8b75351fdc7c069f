package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// namespaceDir is where ip-netns(8) looks for namespaces by name.
const namespaceDir = "/run/netns"

// Namespace is a network namespace with a name that `ip netns` knows.
type Namespace struct {
	Name  string
	file  *os.File
	links *netlink.Handle
}

// createNamespace makes a network namespace and binds it to its name.
func createNamespace(name string) (*Namespace, error) {
	if err := os.MkdirAll(namespaceDir, 0o755); err != nil {
		return nil, fmt.Errorf("create %s: %w", namespaceDir, err)
	}
	path := filepath.Join(namespaceDir, name)
	if err := os.WriteFile(path, nil, 0o444); err != nil {
		return nil, fmt.Errorf("name namespace: %w", err)
	}
	if err := bindNewNamespace(path); err != nil {
		return nil, errors.Join(fmt.Errorf("create namespace %s: %w", name, err), os.Remove(path))
	}
	ns, err := openNamespace(name)
	if err != nil {
		return nil, errors.Join(err, removeNamespace(name))
	}
	return ns, nil
}

// bindNewNamespace leaves the thread that it unshares to die.
func bindNewNamespace(path string) error {
	return onThread(func() (keep bool, err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return false, fmt.Errorf("unshare: %w", err)
		}
		return false, unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "")
	})
}

// onThread runs f on a thread of its own. Unless f wants it kept, the thread dies
// with the locked goroutine. The main thread can't die, and would hold whatever
// namespace it is left in as long as the process lives: it is never used.
func onThread(f func() (keep bool, err error)) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			done <- onThread(f)
			runtime.UnlockOSThread()
			return
		}
		keep, err := f()
		if keep {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

func openNamespace(name string) (*Namespace, error) {
	return namespaceAt(name, filepath.Join(namespaceDir, name))
}

// currentNamespace is the one that the program runs in.
func currentNamespace() (*Namespace, error) {
	return namespaceAt("the current namespace", "/proc/thread-self/ns/net")
}

func namespaceAt(name, path string) (*Namespace, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open namespace: %w", err)
	}
	links, err := netlink.NewHandleAt(netns.NsHandle(file.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open netlink in %s: %w", name, err), file.Close())
	}
	return &Namespace{Name: name, file: file, links: links}, nil
}

func (n *Namespace) close() error {
	n.links.Close()
	return n.file.Close()
}

// removeNamespace takes the name away; the namespace goes with its last user.
func removeNamespace(name string) error {
	path := filepath.Join(namespaceDir, name)
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmount namespace %s: %w", name, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove namespace %s: %w", name, err)
	}
	return nil
}

// Do runs f on a thread inside the namespace. A socket that f makes stays in the
// namespace, and so does a process that it starts; goroutines that it starts don't.
func (n *Namespace) Do(f func() error) error {
	return onThread(func() (keep bool, err error) {
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			return true, err
		}
		defer home.Close()
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return true, fmt.Errorf("enter namespace %s: %w", n.Name, err)
		}
		err = f()
		// A thread that can't go home is not kept.
		return unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil, err
	})
}

// setSysctl writes a network setting of the namespace, such as net/ipv4/ip_forward.
func (n *Namespace) setSysctl(name, value string) error {
	return n.Do(func() error {
		return os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0)
	})
}

func (n *Namespace) setSysctls(settings map[string]string) error {
	for name, value := range settings {
		if err := n.setSysctl(name, value); err != nil {
			return fmt.Errorf("set %s in %s: %w", name, n.Name, err)
		}
	}
	return nil
}
