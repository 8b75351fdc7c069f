package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// resultsPath is where figures go, from the top of the repository.
const resultsPath = "bench/results.json"

// Result is one figure. Ratio is value/baseline, 0 where there is no baseline.
type Result struct {
	Name     string  `json:"name"`
	Unit     string  `json:"unit"`
	Value    float64 `json:"value"`
	Baseline float64 `json:"baseline"`
	Ratio    float64 `json:"ratio"`
}

func result(name, unit string, value, baseline float64) Result {
	r := Result{Name: name, Unit: unit, Value: value, Baseline: baseline}
	if baseline != 0 {
		r.Ratio = value / baseline
	}
	return r
}

func median(samples []float64) float64 {
	sorted := slices.Sorted(slices.Values(samples))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func write(path string, results []Result) error {
	text, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

func read(path string) (results []Result, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return results, json.Unmarshal(text, &results)
}

// table is the figures for a terminal.
func table(results []Result) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tVALUE\tUNIT\tBASELINE\tRATIO")
	for _, r := range results {
		fmt.Fprintln(w, strings.Join(r.cells(), "\t"))
	}
	w.Flush() //nolint:errcheck // a builder takes everything
	return b.String()
}

func (r Result) cells() []string {
	baseline, ratio := "", ""
	if r.Baseline != 0 {
		baseline, ratio = number(r.Baseline), number(r.Ratio)
	}
	return []string{r.Name, number(r.Value), r.Unit, baseline, ratio}
}

// number is a figure with three digits, or all of those before the point.
func number(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}
