package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var (
	fence = regexp.MustCompile("(?ms)^```(?:sh|console)$(.*?)^```$")
	word  = regexp.MustCompile(`"[^"]*"|'[^']*'|(?:\$\([^)]*\)|[^\s"'])+`)
	// typed is a command line of ours with what stands before and behind it.
	typed = regexp.MustCompile(`^(?:\$ |runuser -u gabion -- )*gabion (.*?)(?:\s+(?:#|>|\||\d?>).*)?$`)
)

// examples are the command lines of ours in a text. What leaves something out (…) is
// none.
func examples(text string) []string {
	var found []string
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		m := typed.FindStringSubmatch(strings.TrimSpace(line))
		if m != nil && !strings.Contains(m[1], "…") {
			found = append(found, m[1])
		}
	}
	return found
}

// parses tells what is wrong with a command line, without running it.
func parses(line string) error {
	var args []string
	for _, w := range word.FindAllString(line, -1) {
		args = append(args, strings.Trim(w, `"'`))
	}
	c, rest, err := newRootCommand(&app{}).Find(args)
	if err != nil {
		return err
	}
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	return c.ValidateArgs(c.Flags().Args())
}

// What the help and the documents say one types is taken.
func TestExamplesAreTaken(t *testing.T) {
	texts := map[string]string{}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		texts[c.CommandPath()+" --help"] = c.Example
		for _, child := range c.Commands() {
			walk(child)
		}
	}
	walk(newRootCommand(&app{}))
	documents, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range append(documents, "../../README.md") {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range fence.FindAllStringSubmatch(string(text), -1) {
			texts[document] += block[1]
		}
	}
	tried := 0
	for where, text := range texts {
		for _, line := range examples(text) {
			tried++
			if err := parses(line); err != nil {
				t.Errorf("%s: gabion %s: %v", where, line, err)
			}
		}
	}
	if tried < 60 {
		t.Errorf("there are %d examples; are they written as before?", tried)
	}
	for _, wrong := range []string{"group lst", "group show", "group show web --foo", "rule add web --port"} {
		if parses(wrong) == nil {
			t.Errorf("gabion %s would be taken, too", wrong)
		}
	}
	t.Logf("%d examples", tried)
}
