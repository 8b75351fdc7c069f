package lab

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// runsDir holds one directory per run, named by its number, with
	//   lock  held by the run's owner: who can take it finds a run that crashed
	//   dir   path of the run's temporary directory
	runsDir = "/run/gabion-lab"

	// maxRuns bounds the runs at one time: the number is a byte of management addresses.
	maxRuns = 250

	// runVariable marks the processes of a run.
	runVariable = "GABION_LAB_RUN"

	// pinsDir is where agents keep a directory each.
	pinsDir = "/sys/fs/bpf/gabion"
)

// run is a claim on a number, and with it on all names that begin with its prefix.
type run struct {
	number int
	lock   *os.File
	dir    string // temporary files; may have secrets
}

// claimRun removes what crashed runs left behind and takes a free number.
func claimRun() (*run, error) {
	if err := os.MkdirAll(runsDir, 0o755); err != nil {
		return nil, fmt.Errorf("create %s: %w", runsDir, err)
	}
	guard, err := guardRuns()
	if err != nil {
		return nil, err
	}
	defer guard.Close()
	if err := removeCrashedRuns(); err != nil {
		return nil, err
	}
	for number := 1; number <= maxRuns; number++ {
		if err := os.Mkdir(recordDir(number), 0o755); errors.Is(err, fs.ErrExist) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("claim run: %w", err)
		}
		return newRun(number)
	}
	return nil, fmt.Errorf("claim run: all %d are taken; stop some, see %s", maxRuns, runsDir)
}

// guardRuns lets nobody else claim or remove a run until the guard is closed.
func guardRuns() (io.Closer, error) { return lockFile(filepath.Join(runsDir, "lock"), 0) }

func newRun(number int) (*run, error) {
	lock, err := lockFile(filepath.Join(recordDir(number), "lock"), unix.LOCK_NB)
	if err != nil {
		return nil, err
	}
	r := &run{number: number, lock: lock}
	// A run that crashed here may have been removed from within another network namespace.
	if err := r.removeLinks(); err != nil {
		return nil, errors.Join(err, r.remove())
	}
	r.dir = filepath.Join(os.TempDir(), r.name("files"))
	// The path is on record before the directory is there, never the other way round.
	if err := os.WriteFile(filepath.Join(recordDir(number), "dir"), []byte(r.dir), 0o644); err != nil {
		return nil, errors.Join(fmt.Errorf("record %s: %w", r.dir, err), r.remove())
	}
	if err := os.Mkdir(r.dir, 0o700); err != nil {
		return nil, errors.Join(fmt.Errorf("create temporary directory: %w", err), r.remove())
	}
	return r, nil
}

// name is unique on this machine: no other run makes names with this prefix.
func (r *run) name(of string) string { return runPrefix(r.number) + of }

func runPrefix(number int) string { return fmt.Sprintf("glab%d-", number) }

func recordDir(number int) string { return filepath.Join(runsDir, strconv.Itoa(number)) }

// lockFile opens and locks a file; the lock goes with the last process that has it open.
func lockFile(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|flags)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}

func removeCrashedRuns() error {
	entries, err := os.ReadDir(runsDir)
	if err != nil {
		return fmt.Errorf("list runs: %w", err)
	}
	for _, e := range entries {
		number, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		lock, err := lockFile(filepath.Join(recordDir(number), "lock"), unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			continue // alive
		}
		if err != nil {
			return err
		}
		if err := (&run{number: number, lock: lock}).remove(); err != nil {
			return fmt.Errorf("remove what run %d left behind: %w", number, err)
		}
	}
	return nil
}

// end removes the run.
func (r *run) end() error {
	guard, err := guardRuns()
	if err != nil {
		return err
	}
	defer guard.Close()
	return r.remove()
}

// remove takes away all that carries the run's name, and at last the claim, so
// that a removal that fails is tried again by the next run. Runs are guarded.
func (r *run) remove() error {
	err := errors.Join(
		r.endProcesses(),
		removeMatching(pinsDir, r.name("*"), os.RemoveAll),
		r.removePinsDir(),
		removeMatching(namespaceDir, r.name("*"), func(path string) error { return removeNamespace(filepath.Base(path)) }),
		r.removeLinks(),
		r.removeFiles(),
	)
	if err == nil {
		err = os.RemoveAll(recordDir(r.number))
	}
	return errors.Join(err, r.lock.Close())
}

func removeMatching(dir, pattern string, remove func(path string) error) error {
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	for _, path := range paths {
		err = errors.Join(err, remove(path))
	}
	return err
}

// removePinsDir removes the directory of all agents if nobody has anything in it.
// An agent of another run may be about to make its own there.
func (r *run) removePinsDir() error {
	records, err := filepath.Glob(filepath.Join(runsDir, "[0-9]*"))
	if err != nil || len(records) > 1 {
		return err
	}
	err = os.Remove(pinsDir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTEMPTY) {
		return nil
	}
	return err
}

// removeLinks removes the run's links of this namespace; those inside its
// namespaces go with them.
func (r *run) removeLinks() error {
	links, err := list(netlink.LinkList)
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	for _, link := range links {
		if !strings.HasPrefix(link.Attrs().Name, r.name("")) {
			continue
		}
		// A veth goes with its other end, maybe since the list was made.
		if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
			return fmt.Errorf("remove link %s: %w", link.Attrs().Name, err)
		}
	}
	return nil
}

func (r *run) removeFiles() error {
	dir, err := os.ReadFile(filepath.Join(recordDir(r.number), "dir"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read record: %w", err)
	}
	return os.RemoveAll(string(dir))
}

// endProcesses kills what the run started, known by its environment, and waits
// until it is gone: pins and files of a live agent would come back.
func (r *run) endProcesses() error {
	deadline := time.Now().Add(10 * time.Second)
	for {
		pids, err := r.processes()
		if err != nil || len(pids) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("end processes %v: they don't go", pids)
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("kill process %d: %w", pid, err)
			}
		}
		time.Sleep(5 * time.Millisecond) // a process that is not our child sends no event
	}
}

func (r *run) processes() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	mark := []byte(r.environment())
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		environ, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err != nil {
			continue // gone since
		}
		for variable := range bytes.SplitSeq(environ, []byte{0}) {
			if bytes.Equal(variable, mark) {
				pids = append(pids, pid)
			}
		}
	}
	return pids, nil
}

// environment marks a process as the run's.
func (r *run) environment() string { return fmt.Sprintf("%s=%d", runVariable, r.number) }
