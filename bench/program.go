package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// benchProgram measures the eBPF programs by themselves: what a packet costs
// beyond an empty program. The datapath's own benchmark does it, which fills maps
// with what it likes.
func benchProgram(rounds int) (results []Result, err error) {
	dir, err := os.MkdirTemp("", "gabion-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // nothing but one small file
	path := filepath.Join(dir, "figures.json")
	fmt.Fprintln(os.Stderr, "program: a minute or two")
	cmd := exec.Command("go", "test", "./internal/datapath", "-run", "^$", "-bench", "ProgramRun",
		"-benchtime", strconv.Itoa(rounds*10)+"x") // a round takes a tenth of a second
	cmd.Env = append(os.Environ(), "GABION_BENCH_FIGURES="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("run BenchmarkProgramRun: %w: %s", err, out)
	}
	if results, err = read(path); err != nil {
		return nil, fmt.Errorf("read figures of BenchmarkProgramRun: %w", err)
	}
	for i, r := range results {
		results[i] = result(r.Name, r.Unit, r.Value, r.Baseline)
	}
	return results, nil
}
