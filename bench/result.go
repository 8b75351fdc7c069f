package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
)

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

func print(results []Result) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WHAT\tVALUE\tUNIT\tBASELINE\tRATIO")
	for _, r := range results {
		fmt.Fprintf(w, "%s\t%.0f\t%s\t%.0f\t%.3f\n", r.Name, r.Value, r.Unit, r.Baseline, r.Ratio)
	}
	return w.Flush()
}
