package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// report writes progress and counts checks. A check is one thing that was held
// against what it should be.
type report struct {
	out        io.Writer
	paint      paint
	begun      time.Time
	checks     int
	mismatches int
}

func newReport(out *os.File) *report {
	return &report{out: out, paint: paint(isTerminal(out)), begun: time.Now()}
}

// step begins a part of the demo.
func (r *report) step(format string, args ...any) {
	elapsed := r.paint.dim(fmt.Sprintf("%5.1fs", time.Since(r.begun).Seconds()))
	fmt.Fprintf(r.out, "\n%s  %s\n", elapsed, r.paint.bold(fmt.Sprintf(format, args...)))
}

// say adds a line to the current step.
func (r *report) say(format string, args ...any) {
	fmt.Fprintf(r.out, "    %s\n", fmt.Sprintf(format, args...))
}

// command shows what was typed.
func (r *report) command(line string) {
	fmt.Fprintf(r.out, "    %s\n", r.paint.dim("$ "+line))
}

// check counts one check, and shows it.
func (r *report) check(ok bool, format string, args ...any) {
	r.checks++
	mark := r.paint.green("✓")
	if !ok {
		r.mismatches++
		mark = r.paint.red("✗")
	}
	fmt.Fprintf(r.out, "    %s %s\n", mark, fmt.Sprintf(format, args...))
}

// results counts a check per result, and shows the mismatches. The words say what
// was tried.
func (r *report) results(all []result, format string, args ...any) {
	wrong := 0
	for _, one := range all {
		if one.matches() {
			continue
		}
		wrong++
		r.say("%s", r.paint.red(fmt.Sprintf("%s: %s, predicted: %s", one.probe, outcome(one.seen), outcome(one.predicted))))
	}
	r.checks += len(all)
	r.mismatches += wrong
	mark := r.paint.green("✓")
	if wrong > 0 {
		mark = r.paint.red("✗")
	}
	fmt.Fprintf(r.out, "    %s %s: %d of %d as predicted\n", mark, fmt.Sprintf(format, args...), len(all)-wrong, len(all))
}

func outcome(passed bool) string {
	if passed {
		return "passed"
	}
	return "did not pass"
}

// paint colours text, if the reader is a terminal.
type paint bool

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == ""
}

func (p paint) with(code int, text string) string {
	if !p {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", code, text)
}

func (p paint) bold(text string) string  { return p.with(1, text) }
func (p paint) dim(text string) string   { return p.with(2, text) }
func (p paint) red(text string) string   { return p.with(31, text) }
func (p paint) green(text string) string { return p.with(32, text) }
