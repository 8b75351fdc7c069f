package faults_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gabion/gabion/client/rest"
)

// Agents are replaced by those of another version, and back, while packets flow.
func TestUpgrade(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	s.start(t)
	next := build(t, "next", nil)
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	changes := times(2, 20)
	for n := range changes {
		s.replaceAgents(t, []string{next, program}[n%2])
	}
	r.packets(traffic)
	r.say("%d times another version on both hosts", changes)
	r.converged(s, churn)
}

// replaceAgents stops the agents and starts those of another binary.
func (s *site) replaceAgents(t *testing.T, binary string) {
	t.Helper()
	for _, a := range s.agents {
		must(t, a.Stop())
		a.Replace(binary)
		must(t, a.Start())
		s.settled(t)
	}
}

// The same with maps of another layout. Connections that nothing but their flow lets go
// on do so.
func TestUpgradeOfLayout(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	must(t, s.victim.Serve([]uint16{webPort}, nil))
	s.start(t)
	next := build(t, "layout", otherLayout(t))
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	web := s.fromGroup("tcp", webPort, webPort, "friends")
	s.done(t)(s.client.ReplaceRules(t.Context(), s.groups["web"], []rest.AddRuleRequest{web}))
	wires := []*wire{watch(t, s.victim.Endpoint), watch(t, s.friend.Endpoint)}
	flows := s.talk(t, times(50, 1000))
	changes := times(2, 20)
	for n := range changes {
		s.replaceAgents(t, []string{next, program}[n%2])
	}
	await(t, "all connections to go on", func() bool { return alive(wires, time.Now().Add(-talkEvery*3)) == flows })
	r.packets(traffic)
	r.say("%d times another layout on both hosts, up and down; %d connections went on through all of them", changes, flows)
	r.converged(s, churn)
}

// otherLayout is an overlay with flows of the next version: their fields are elsewhere,
// and there is a new one.
func otherLayout(t *testing.T) map[string]string {
	t.Helper()
	dir, err := filepath.Abs("../../internal/datapath")
	must(t, err)
	temporary := t.TempDir()
	must(t, os.CopyFS(filepath.Join(temporary, "bpf"), os.DirFS(filepath.Join(dir, "bpf"))))
	header := filepath.Join(temporary, "bpf", "abi.h")
	changed := replaced(t, header, map[string]string{
		`#define ABI_VERSION (\d+)`:                         "#define ABI_VERSION ${1}0",
		`(?s)struct flow \{\n(.*?)(\t__u32 end\[2\].*?)\};`: "struct flow {\n${2}\t__u64 added[2];\n${1}};",
	})
	must(t, os.WriteFile(header, []byte(changed), 0o600))
	generate(t, dir, temporary)
	overlay := map[string]string{}
	for _, name := range []string{"bpf_bpfel.go", "bpf_bpfel.o"} {
		content, err := os.ReadFile(filepath.Join(temporary, name))
		must(t, err)
		overlay[filepath.Join(dir, name)] = string(content)
	}
	source := filepath.Join(dir, "open.go")
	overlay[source] = replaced(t, source, map[string]string{`const abiVersion = (\d+)`: "const abiVersion = ${1}0"})
	return overlay
}

// replaced is a file in which each expression, which is there once, is replaced.
func replaced(t *testing.T, path string, by map[string]string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	for expression, with := range by {
		e := regexp.MustCompile(expression)
		if n := len(e.FindAll(text, -1)); n != 1 {
			t.Fatalf("%s has %d of %s", path, n, expression)
		}
		text = e.ReplaceAll(text, []byte(with))
	}
	return string(text)
}

// generate compiles programs as the package does, from the directory and into it.
func generate(t *testing.T, pkg, dir string) {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(pkg, "generate.go"))
	must(t, err)
	_, command, _ := strings.Cut(string(source), "//go:generate ")
	command = strings.NewReplacer(" bpf2go ", ` bpf2go -output-dir "$OUTPUT" `, "bpf/gabion.c", `"$OUTPUT/bpf/gabion.c"`).Replace(command)
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir, cmd.Env = pkg, append(os.Environ(), "GOPACKAGE=datapath", "OUTPUT="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("compile eBPF programs (is clang there?): %v\n%s", err, out)
	}
}

// build builds a gabion out of changed sources, by path.
func build(t *testing.T, version string, changed map[string]string) (binary string) {
	t.Helper()
	dir := t.TempDir()
	var overlay struct{ Replace map[string]string }
	overlay.Replace = map[string]string{}
	for path, source := range changed {
		copied := filepath.Join(dir, fmt.Sprintf("%d-%s", len(overlay.Replace), filepath.Base(path)))
		must(t, os.WriteFile(copied, []byte(source), 0o600))
		overlay.Replace[path] = copied
	}
	text, err := json.Marshal(overlay)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "overlay.json"), text, 0o600))
	binary = filepath.Join(dir, "gabion")
	cmd := exec.Command("go", "build", "-ldflags", "-X main.version="+version,
		"-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, "../../cmd/gabion")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build gabion: %v\n%s", err, out)
	}
	return binary
}

// A store is backed up, lost, and restored to what it was: hosts take the older policy.
func TestRestored(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	s.start(t)
	traffic := s.startTraffic(t)
	before := s.startChurn(t, int64(times(20, 500)))
	before.wait(t)
	file := filepath.Join(s.lab.Dir(), "backup.tar")
	s.gabion(t, "backup", "--data-dir", s.server.Dir, file)
	s.startChurn(t, int64(times(20, 500))).wait(t)
	must(t, s.server.Kill())
	must(t, os.RemoveAll(s.server.Dir))
	s.gabion(t, "restore", "--data-dir", s.server.Dir, file)
	must(t, s.server.Start(t.Context()))
	s.connect(t)
	before.checkKept(t)
	caughtUp := s.settled(t)
	s.checkOneHash(t)
	r.packets(traffic)
	r.say("all that was acknowledged before the backup is there, and both agents at that policy %s after the server was back; what came after the backup is gone", rounded(caughtUp))
	churn := s.startChurn(t, 10)
	churn.wait(t)
	r.converged(s, churn)
}

func (s *site) gabion(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("gabion %s: %v\n%s", args[0], err, out)
	}
}
