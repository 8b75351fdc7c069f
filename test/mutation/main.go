// Command mutation plants one fault after the other into the eBPF programs and
// the evaluator, and sees whether the tests notice. A fault that survives is a test that
// is missing. The tree itself is not touched: the compiler is shown other files.
// Arguments choose faults by words of their names.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// workers is how many faults are tried at once.
const workers = 2

// patience is how long the tests of one fault may run.
const patience = 5 * time.Minute

// The tests that judge faults, without those that only attach programs. A fault
// that its own package does not notice may still be one that the comparison of
// programs and evaluator finds.
var (
	ofPolicy   = suite{"policy", []string{"./internal/policy"}}
	ofDatapath = suite{"datapath", []string{"./internal/datapath", "-skip", "TestProgramsAndEvaluatorAgree"}}
	comparison = suite{"comparison", []string{"./internal/datapath", "-run", "TestProgramsAndEvaluatorAgree", "-packets", "150000", "-seed", "1"}}
)

// suite is tests, as arguments of go test.
type suite struct {
	name      string
	arguments []string
}

func main() {
	chosen := chosen(os.Args[1:])
	caught, err := run(chosen)
	fmt.Printf("mutation: %d of %d faults caught\n", caught, len(chosen))
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
	}
	if err != nil || caught < len(chosen) {
		os.Exit(1)
	}
}

// chosen are the faults whose names hold one of the words, or all if there are none.
func chosen(words []string) []mutant {
	return slices.DeleteFunc(slices.Clone(mutants), func(m mutant) bool {
		isNamed := func(word string) bool { return strings.Contains(m.name, word) }
		return len(words) > 0 && !slices.ContainsFunc(words, isNamed)
	})
}

// run tries faults, after it has seen that the tests pass without any.
func run(mutants []mutant) (caught int, err error) {
	dir, err := os.MkdirTemp("", "gabion-mutation-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a directory of ours under a temporary one
	overlay, err := mutant{}.overlay(filepath.Join(dir, "none"))
	if err != nil {
		return 0, err
	}
	for _, s := range []suite{ofPolicy, ofDatapath, comparison} {
		if out, err := judge(overlay, s); err != nil {
			return 0, fmt.Errorf("the tests of %s fail without a fault: %w\n%s", s.name, err, out)
		}
	}
	verdicts := make([]error, len(mutants))
	var wait sync.WaitGroup
	places := make(chan struct{}, workers)
	for i, m := range mutants {
		places <- struct{}{}
		wait.Go(func() {
			defer func() { <-places }()
			by, err := try(filepath.Join(dir, fmt.Sprint(i)), m)
			verdicts[i] = err
			fmt.Printf("%-66s %s\n", m.name, outcome(by, err))
		})
	}
	wait.Wait()
	for _, verdict := range verdicts {
		if verdict == nil {
			caught++
		} else if !errors.Is(verdict, errSurvived) {
			err = errors.Join(err, verdict)
		}
	}
	return caught, err
}

var errSurvived = errors.New("SURVIVED")

func outcome(by string, err error) string {
	if err == nil {
		return "caught by " + by
	}
	return err.Error()
}

// try plants the fault and says which tests fail because of it.
func try(dir string, m mutant) (by string, err error) {
	overlay, err := m.overlay(dir)
	if err != nil {
		return "", err
	}
	for _, s := range []suite{m.suite, comparison} {
		out, err := judge(overlay, s)
		var failed *exec.ExitError
		switch {
		case err == nil:
			continue
		case errors.As(err, &failed) && strings.Contains(out, "--- FAIL"):
			return s.name, nil
		}
		return "", fmt.Errorf("%s: neither passed nor failed: %w\n%s", m.name, err, out)
	}
	return "", errSurvived
}

// judge runs tests with the overlay in place.
func judge(overlay string, s suite) (out string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", append([]string{
		"test", "-overlay", overlay, "-count", "1", "-failfast", "-short", "-parallel", "8",
		"-vet=off", "-ldflags=-s -w",
	}, s.arguments...)...)
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// overlay writes the changed file, compiled if it is C, and the list that shows it
// to the compiler in the place of the real one.
func (m mutant) overlay(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	replace := map[string]string{}
	if m.file != "" {
		from, to, err := m.plant(dir)
		if err != nil {
			return "", fmt.Errorf("plant %q: %w", m.name, err)
		}
		replace[from] = to
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, text, 0o644)
}

// plant writes the changed file and returns which file of the tree it stands for.
func (m mutant) plant(dir string) (from, to string, err error) {
	changed, err := m.changed()
	if err != nil {
		return "", "", err
	}
	if strings.HasSuffix(m.file, ".go") {
		to = filepath.Join(dir, filepath.Base(m.file))
		from, err = filepath.Abs(m.file)
		return from, to, errors.Join(err, os.WriteFile(to, []byte(changed), 0o644))
	}
	return compile(dir, m.file, changed)
}

// changed is the file with the fault in it.
func (m mutant) changed() (string, error) {
	source, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		return "", fmt.Errorf("%s has %d times what the fault replaces: %q", m.file, n, m.old)
	}
	return strings.Replace(string(source), m.old, m.new, 1), nil
}

const (
	programs = "internal/datapath/bpf"
	object   = "internal/datapath/bpf_bpfel.o"
)

// compile builds the programs with one file changed, the way go generate does.
func compile(dir, file, changed string) (from, to string, err error) {
	sources := filepath.Join(dir, "bpf")
	if err := os.CopyFS(sources, os.DirFS(programs)); err != nil {
		return "", "", err
	}
	if err := os.WriteFile(filepath.Join(sources, filepath.Base(file)), []byte(changed), 0o644); err != nil {
		return "", "", err
	}
	to = filepath.Join(dir, "bpf.o")
	out, err := exec.Command("clang", "-target", "bpfel", "-O2", "-g", "-mcpu=v3", "-fno-ident",
		"-idirafter", "/usr/include/x86_64-linux-gnu", "-idirafter", "/usr/include/aarch64-linux-gnu",
		"-c", filepath.Join(sources, "gabion.c"), "-o", to).CombinedOutput()
	if err != nil {
		return "", "", fmt.Errorf("compile: %w: %s", err, out)
	}
	from, err = filepath.Abs(object)
	return from, to, err
}
