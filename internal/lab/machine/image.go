package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/cavaliergopher/cpio"
)

// KernelEnv names the environment variable that holds the directory into which
// `make guest-kernel` unpacked Debian's cloud kernel.
const KernelEnv = "GABION_GUEST_KERNEL"

// image is what a machine boots.
type image struct{ kernel, initramfs string }

// findKernel finds the kernel and its modules.
func findKernel() (kernel, modules string, err error) {
	root := os.Getenv(KernelEnv)
	kernels, err := filepath.Glob(filepath.Join(root, "boot", "vmlinuz-*"))
	if err != nil || root == "" || len(kernels) != 1 {
		return "", "", fmt.Errorf("no guest kernel in %s=%q: run `make guest-kernel`", KernelEnv, root)
	}
	return kernels[0], filepath.Join(root, "lib", "modules"), nil
}

// buildImage makes the initramfs: our init, and the modules that it loads.
func buildImage(ctx context.Context, dir string) (image, error) {
	kernel, modules, err := findKernel()
	if err != nil {
		return image{}, err
	}
	i := image{kernel: kernel, initramfs: filepath.Join(dir, "initramfs")}
	if _, err := os.Stat(i.initramfs); err == nil {
		return i, nil // another machine of this run made it
	}
	init := filepath.Join(dir, "init")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", init, "github.com/gabion/gabion/internal/lab/machine/init")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return image{}, fmt.Errorf("build init: %w: %s", err, out)
	}
	return i, writeInitramfs(i.initramfs, init, modules)
}

func writeInitramfs(path, init, modules string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := cpio.NewWriter(f)
	if err := addFile(w, "init", init); err != nil {
		return err
	}
	for _, dir := range []string{"modules", "dev"} {
		if err := w.WriteHeader(&cpio.Header{Name: dir, Mode: cpio.TypeDir | 0o755}); err != nil {
			return err
		}
	}
	err = filepath.WalkDir(modules, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !isWanted(path) {
			return err
		}
		return addFile(w, "modules/"+filepath.Base(path), path)
	})
	return errors.Join(err, w.Close())
}

// isWanted tells whether init may load the module.
func isWanted(path string) bool {
	if !strings.HasSuffix(path, ".ko") {
		return false
	}
	base := filepath.Base(path)
	return strings.HasPrefix(base, "virtio") || strings.Contains(base, "failover") || base == "af_packet.ko"
}

func addFile(w *cpio.Writer, name, path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&cpio.Header{Name: name, Mode: cpio.TypeReg | 0o755, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err = w.Write(content)
	return err
}
