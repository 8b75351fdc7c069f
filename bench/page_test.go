package main

import (
	"os"
	"strings"
	"testing"
)

// TestPageShowsResults holds that nobody edits the page's figures, or commits
// results without the page.
func TestPageShowsResults(t *testing.T) {
	results, err := read("../" + resultsPath)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../" + pagePath)
	if err != nil {
		t.Fatal(err)
	}
	for name, table := range map[string]string{"targets": targetTable(results), "figures": figureTable(results)} {
		if !strings.Contains(string(page), table) {
			t.Errorf("%s of %s are not those of %s: run `make bench`", name, pagePath, resultsPath)
		}
	}
}

func TestTargetIsReachedAtItsBound(t *testing.T) {
	results := []Result{result("a", "", 2, 4), result("b", "", 1, 0)}
	for _, test := range []struct {
		target target
		want   string
	}{
		{target{figure: value("a"), bound: 2}, "yes"},
		{target{figure: value("a"), bound: 1.9}, "**no**"},
		{target{figure: value("a"), bound: 2, least: true}, "yes"},
		{target{figure: value("a"), bound: 2.1, least: true}, "**no**"},
		{target{figure: ofUnfiltered("a"), bound: 0.5}, "yes"},
		{target{figure: ratio("a", "b"), bound: 2.1, least: true}, "**no**"},
		{target{figure: value("c"), bound: 2}, "not measured"},
	} {
		if got := test.target.cells(results)[3]; got != test.want {
			t.Errorf("bound %v, least %t: %s, want %s", test.target.bound, test.target.least, got, test.want)
		}
	}
}
