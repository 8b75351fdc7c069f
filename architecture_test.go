package gabion_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/gabion/gabion"

// allowed is the dependency rule: what each package of ours imports of ours, and no more.
// A package that is not listed may be imported by tests and commands only.
var allowed = map[string][]string{
	"":                    {},
	"api":                 {},
	"client":              {"", "client/rest"},
	"client/rest":         {},
	"cmd/gabion":          {"", "client", "client/rest", "internal/server", "internal/agent"},
	"internal/agent":      {"", "internal/flow", "internal/policy", "internal/feed", "internal/datapath", "internal/hypervisor", "internal/pki", "internal/atomicfile"},
	"internal/api":        {"", "internal/flow", "api", "internal/policy", "internal/api/openapi"},
	"internal/datapath":   {"", "internal/policy"},
	"internal/feed":       {"", "internal/policy", "internal/flow", "internal/feed/feedpb", "internal/pki"},
	"internal/flow":       {""},
	"internal/hypervisor": {},
	"internal/pki":        {"", "internal/atomicfile"},
	"internal/policy":     {""},
	"internal/server":     {"", "internal/api", "internal/console", "internal/store", "internal/feed", "internal/pki", "internal/atomicfile"},
	"internal/store":      {"", "internal/policy", "internal/atomicfile"},
	"packaging":           {},
}

// leaves are packages that import nothing of ours.
var leaves = []string{"internal/api/openapi", "internal/atomicfile", "internal/console", "internal/etcdcluster", "internal/feed/feedpb", "internal/privilege"}

type listed struct {
	ImportPath string
	Name       string
	GoFiles    []string
	Imports    []string
	Standard   bool
}

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,GoFiles,Imports", "./...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func ours(path string) (string, bool) {
	if path == module {
		return "", true
	}
	return strings.CutPrefix(path, module+"/")
}

func TestDependencyRule(t *testing.T) {
	for _, p := range packages(t) {
		name, _ := ours(p.ImportPath)
		if strings.HasPrefix(name, "test/") || strings.HasPrefix(name, "internal/lab") || name == "bench" {
			continue // they exercise the whole and may know everyone
		}
		may, known := allowed[name]
		if !known && !slices.Contains(leaves, name) {
			t.Errorf("%s has no place in the dependency rule: say in architecture_test.go what it may import", name)
		}
		for _, path := range p.Imports {
			if dep, is := ours(path); is && !slices.Contains(may, dep) {
				t.Errorf("%s imports %s: the dependency rule in ARCHITECTURE.md does not allow it", name, path)
			}
		}
		for _, dep := range may {
			if !slices.Contains(p.Imports, strings.TrimSuffix(module+"/"+dep, "/")) {
				t.Errorf("%s may import %s/%s, and does not: take it out of the table", name, module, dep)
			}
		}
	}
}

func TestVocabularyAndPolicyArePure(t *testing.T) {
	for _, p := range packages(t) {
		name, _ := ours(p.ImportPath)
		if name != "" && name != "internal/policy" {
			continue
		}
		for _, path := range p.Imports {
			if _, is := ours(path); !is && strings.Contains(path, ".") {
				t.Errorf("%s imports %s: it may use the standard library only", p.ImportPath, path)
			}
		}
	}
}

func TestPolicyHasNoClockAndNoIO(t *testing.T) {
	impure := []string{"time", "os", "net", "sync", "context", "io", "math/rand", "math/rand/v2"}
	for _, p := range packages(t) {
		if name, _ := ours(p.ImportPath); name != "internal/policy" {
			continue
		}
		for _, path := range p.Imports {
			if slices.Contains(impure, path) {
				t.Errorf("internal/policy imports %s: it is pure", path)
			}
		}
	}
}

// TestCompileIsPure holds the one pure file of a package that is not.
func TestCompileIsPure(t *testing.T) {
	source, err := os.ReadFile("internal/datapath/compile.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, impure := range []string{`"github.com/cilium`, `"github.com/vishvananda`, `"os"`, `"time"`, `"net"`, `"golang.org/x/sys`} {
		if strings.Contains(string(source), impure) {
			t.Errorf("internal/datapath/compile.go imports %s: compiling policy is pure", impure)
		}
	}
}

// TestDocumentsNameWhatExists keeps the pages that explain the tree true to it.
func TestDocumentsNameWhatExists(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	documents, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	decisions, err := filepath.Glob("docs/adr/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range slices.Concat([]string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"}, documents, decisions) {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, match := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(document), match[1])); err != nil {
				t.Errorf("%s links to %s, which does not exist", document, match[1])
			}
		}
	}
}
