package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

const emptyProgram = "empty program"

// scenes are those of BenchmarkProgramRun, with what each is compared to.
var scenes = []struct{ name, baseline string }{
	{"established, 1 flow", ""},
	{"established, 4096 flows, 1 rule", ""},
	{"established, 4096 flows, 10,000 rules", "established, 4096 flows, 1 rule"},
	{"established, 4096 flows, IPv6", "established, 4096 flows, 10,000 rules"},
	{"new flow, 1 rule, 10 members", ""},
	{"new flow, 10,000 rules, 10 members", "new flow, 1 rule, 10 members"},
	{"new flow, 1 rule, 100,000 members", "new flow, 1 rule, 10 members"},
	{"new flow, 10,000 rules, 100,000 members", "new flow, 10,000 rules, 10 members"},
	{"new flow, 10,000 rules, 100,000 members, IPv6", "new flow, 10,000 rules, 100,000 members"},
	{"denied, 10,000 rules, 100,000 members", ""},
}

// benchProgram measures the eBPF programs by themselves: what a packet costs
// beyond an empty program. The datapath's own benchmark does it, which makes maps
// of any contents.
func benchProgram(rounds int) ([]Result, error) {
	figures, err := runProgramBenchmark(rounds * 10) // a round takes a tenth of a second
	if err != nil {
		return nil, err
	}
	empty, ok := figures[emptyProgram]
	if !ok {
		return nil, fmt.Errorf("BenchmarkProgramRun has no scene %q", emptyProgram)
	}
	var results []Result
	for _, s := range scenes {
		ns, ok := figures[s.name]
		if !ok {
			return nil, fmt.Errorf("BenchmarkProgramRun has no scene %q", s.name)
		}
		baseline := 0.0
		if s.baseline != "" {
			baseline = figures[s.baseline] - empty
		}
		results = append(results, result("program/"+s.name, "ns", ns-empty, baseline))
	}
	return results, nil
}

func runProgramBenchmark(rounds int) (figures map[string]float64, err error) {
	dir, err := os.MkdirTemp("", "gabion-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // nothing but one small file
	path := filepath.Join(dir, "figures.json")
	fmt.Fprintln(os.Stderr, "program: a minute")
	cmd := exec.Command("go", "test", "./internal/datapath", "-run", "^$", "-bench", "ProgramRun",
		"-benchtime", strconv.Itoa(rounds)+"x", "-figures", path)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("run BenchmarkProgramRun: %w: %s", err, out)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return figures, json.Unmarshal(text, &figures)
}
