package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
)

// A part is a benchmark of its own. Parts run one after the other.
type part struct {
	name string
	run  func(rounds int) ([]Result, error)
}

var parts = []part{
	{"program", benchProgram},
	{"traffic", benchTraffic},
	{"memory", benchMemory},
}

func main() {
	rounds := flag.Int("rounds", 20, "how often the contenders take turns")
	only := flag.String("only", "", "run this `part` (program, traffic, memory) and write nothing")
	flag.Parse()
	if err := run(*rounds, *only); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(rounds int, only string) error {
	if only != "" && !slices.ContainsFunc(parts, func(p part) bool { return p.name == only }) {
		return fmt.Errorf("there is no part %q", only)
	}
	var results []Result
	for _, p := range parts {
		if only != "" && p.name != only {
			continue
		}
		figures, err := p.run(rounds)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		results = append(results, figures...)
	}
	fmt.Println(table(results))
	if only != "" {
		return nil
	}
	fmt.Println(verdicts(results))
	return errors.Join(write(resultsPath, results), writePage(pagePath, rounds, results))
}
