package hypervisor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cavaliergopher/cpio"
	"golang.org/x/sys/unix"

	"github.com/gabion/gabion/internal/lab/machine"
)

// Some tests need what many small kernels lack and Debian's has: the tests' own binary
// boots, built without C, as the only process of a virtual machine.

// guestModules are loaded in this order, but for those that are part of the kernel.
var guestModules = []string{"af_packet", "llc", "stp", "bridge", "veth"}

// guestTime is how long the machine may take, under software emulation.
const guestTime = 2 * time.Minute

func TestMain(m *testing.M) {
	if !isInGuest() {
		os.Exit(m.Run())
	}
	if err := becomeInit(); err != nil {
		fmt.Println("prepare:", err)
	}
	os.Args = []string{"init", "-test.run", "^" + os.Getenv("test") + "$", "-test.v"}
	fmt.Println("guest ends with", m.Run())
	unix.Sync()
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF) //nolint:errcheck // there is nobody left to tell
}

func isInGuest() bool { return os.Getpid() == 1 }

func becomeInit() error {
	for fstype, target := range map[string]string{"proc": "/proc", "sysfs": "/sys", "devtmpfs": "/dev"} {
		if err := unix.Mount(fstype, target, fstype, 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mount %s: %w", target, err)
		}
	}
	for _, name := range guestModules {
		f, err := os.Open("/modules/" + name + ".ko")
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("load module %s: %w", name, err)
		}
		f.Close()
	}
	return nil
}

// runInGuest runs the test that calls it in a virtual machine.
func runInGuest(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("boots a virtual machine")
	}
	machine.Require(t)
	root := os.Getenv(machine.KernelEnv)
	kernels, err := filepath.Glob(filepath.Join(root, "boot", "vmlinuz-*"))
	if err != nil || len(kernels) == 0 {
		t.Fatal("no kernel")
	}
	ctx, cancel := context.WithTimeout(t.Context(), guestTime)
	defer cancel()
	out, err := exec.CommandContext(
		ctx, "qemu-system-x86_64", "-M", "pc", "-accel", "tcg", "-m", "256", "-nodefaults", "-no-reboot", "-display", "none",
		"-kernel", kernels[0], "-initrd", guestImage(t, root), "-append", "console=ttyS0 panic=-1 quiet test="+t.Name(), "-serial", "stdio",
	).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) || !strings.Contains(string(out), "guest ends with 0") {
		t.Errorf("%v:\n%s", err, out)
	}
}

// guestImage makes an initramfs of this binary and the modules.
func guestImage(t *testing.T, root string) string {
	t.Helper()
	dir := t.TempDir()
	self, path := filepath.Join(dir, "init"), filepath.Join(dir, "initramfs")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", self, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // there are no libraries
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build init: %v: %s", err, out)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := cpio.NewWriter(f)
	pack(t, w, "init", self)
	for _, dir := range []string{"modules", "proc", "sys", "dev", "tmp"} {
		if err := w.WriteHeader(&cpio.Header{Name: dir, Mode: cpio.TypeDir | 0o755}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range guestModules {
		if module := findModule(t, root, name); module != "" {
			pack(t, w, "modules/"+name+".ko", module)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func findModule(t *testing.T, root, name string) (found string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, "lib", "modules"), func(path string, _ os.DirEntry, err error) error {
		if filepath.Base(path) == name+".ko" {
			found = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func pack(t *testing.T, w *cpio.Writer, name, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err == nil {
		err = w.WriteHeader(&cpio.Header{Name: name, Mode: cpio.TypeReg | 0o755, Size: int64(len(content))})
	}
	if err == nil {
		_, err = w.Write(content)
	}
	if err != nil {
		t.Fatal(err)
	}
}
