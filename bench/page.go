package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// pagePath is the page that figures are explained on.
const pagePath = "docs/performance.md"

// writePage puts the figures between the marks of the page, and how they were measured.
func writePage(path string, rounds int, results []Result) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	on, err := machine()
	if err != nil {
		return err
	}
	for _, section := range []struct{ name, text string }{
		{"machine", fmt.Sprintf("%s; %d rounds.\n", on, rounds)}, {"targets", targetTable(results)}, {"figures", figureTable(results)},
	} {
		if page, err = fillIn(page, section.name, section.text); err != nil {
			return err
		}
	}
	return os.WriteFile(path, page, 0o644)
}

// fillIn replaces what stands between the marks of a section.
func fillIn(page []byte, section, text string) ([]byte, error) {
	begin, end := "<!-- bench: "+section+" -->\n", "<!-- end of "+section+" -->"
	head, rest, ok := bytes.Cut(page, []byte(begin))
	_, tail, closed := bytes.Cut(rest, []byte(end))
	if !ok || !closed {
		return nil, fmt.Errorf("fill in %s: the page has no marks for it", section)
	}
	return []byte(string(head) + begin + text + end + string(tail)), nil
}

func targetTable(results []Result) string {
	rows := [][]string{}
	for _, t := range targets {
		rows = append(rows, t.cells(results))
	}
	return markdown([]string{"target", "bound", "figure", "reached"}, rows)
}

func figureTable(results []Result) string {
	rows := [][]string{}
	for _, r := range results {
		rows = append(rows, r.cells())
	}
	return markdown([]string{"what", "figure", "unit", "baseline", "ratio"}, rows)
}

func markdown(head []string, rows [][]string) string {
	var b strings.Builder
	b.WriteString("| " + strings.Join(head, " | ") + " |\n|" + strings.Repeat(" --- |", len(head)) + "\n")
	for _, row := range rows {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	return b.String()
}

// machine says what this is: processor, kernel, and the versions of the rivals.
func machine() (string, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", err
	}
	lines := []string{fmt.Sprintf("%d cores of %s, Linux %s, %s", runtime.NumCPU(), processor(), unix.ByteSliceToString(name.Release[:]), runtime.Version())}
	for _, rival := range [][]string{{"iptables-legacy", "-V"}, {"ipset", "-v"}, {"nft", "-v"}} {
		out, err := exec.Command(rival[0], rival[1:]...).Output()
		if err != nil {
			return "", fmt.Errorf("ask %s for its version: %w", rival[0], err)
		}
		lines = append(lines, strings.TrimSpace(string(out)))
	}
	return strings.Join(lines, "; "), nil
}

func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
