package lab_test

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/gabion/gabion/internal/lab"
	"github.com/gabion/gabion/internal/privilege"
)

// crashVariable makes this test binary a run that builds a lab, says its name and
// waits to be killed.
const crashVariable = "GABION_LAB_TEST_CRASH"

func TestMain(m *testing.M) {
	if os.Getenv(crashVariable) != "" {
		crash()
	}
	os.Exit(m.Run())
}

func crash() {
	l, err := lab.New()
	if err == nil {
		err = populate(l)
	}
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString(l.Name("") + "\n")
	select {}
}

// populate makes one of everything that a run can leave behind.
func populate(l *lab.Lab) error {
	host, err := l.AddHost("h1")
	if err != nil {
		return err
	}
	if _, err := host.AddGuest("a"); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join("/sys/fs/bpf/gabion", l.Name("h1"), "links"), 0o700); err != nil {
		return err
	}
	_, err = l.Start(host.Namespace(), "sleep", "sleep", "1000")
	return err
}

func TestCloseLeavesNothing(t *testing.T) {
	privilege.Require(t)
	l, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	prefix := l.Name("")
	if err := populate(l); err != nil {
		t.Error(err)
	}
	if got := remains(t, prefix); len(got) < 5 {
		t.Errorf("a running lab shows only %q: the test is blind", got)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string(nil), remains(t, prefix)); diff != "" {
		t.Errorf("left behind (-want +got):\n%s", diff)
	}
}

func TestNextRunRemovesWhatACrashedOneLeft(t *testing.T) {
	privilege.Require(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashVariable+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() }) //nolint:errcheck // killed already, if all went well
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	prefix := strings.TrimSpace(line)

	alive, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := alive.Close(); err != nil {
		t.Error(err)
	}
	before := remains(t, prefix)
	if len(before) < 5 {
		t.Errorf("beside a run that is alive only %q is left of it", before)
	}

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("killed, it ended well")
	}
	if diff := cmp.Diff(before, remains(t, prefix)); diff != "" {
		t.Errorf("killed, it changed (-before +after):\n%s", diff)
	}

	// The number is free again once the rest is gone, so the next run may take it:
	// what is there after that one's end is what the killed one left.
	next, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Close(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string(nil), remains(t, prefix)); diff != "" {
		t.Errorf("left behind (-want +got):\n%s", diff)
	}
}

// remains lists links, namespaces, pins, files and processes whose name begins
// with the prefix of a run.
func remains(t *testing.T, prefix string) []string {
	t.Helper()
	links, err := netlink.LinkList()
	for errors.Is(err, netlink.ErrDumpInterrupted) {
		links, err = netlink.LinkList()
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, l := range links {
		if strings.HasPrefix(l.Attrs().Name, prefix) {
			all = append(all, "link "+l.Attrs().Name)
		}
	}
	number := strings.Trim(prefix, "glab-")
	for _, pattern := range []string{
		"/run/netns/" + prefix + "*",
		"/sys/fs/bpf/gabion/" + prefix + "*",
		filepath.Join(os.TempDir(), prefix+"*"),
		"/run/gabion-lab/" + number,
	} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	all = append(all, processes(t, "GABION_LAB_RUN="+number)...)
	slices.Sort(all)
	return all
}

func processes(t *testing.T, variable string) []string {
	t.Helper()
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range environs {
		environ, err := os.ReadFile(path)
		if err == nil && slices.Contains(strings.Split(string(environ), "\x00"), variable) {
			found = append(found, path)
		}
	}
	return found
}
