// Command gabion-demo shows, with real packets between real network stacks, that
// security groups decide: it builds a lab of two hosts, starts a server and the
// agents, writes groups and rules with the command line, tries every pair of
// machines, and holds what it sees against what the evaluator predicts.
//
// It needs root, and bin/gabion beside it. KEEP=1 leaves everything running.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// limit is when the demo gives up. It takes a fraction of it.
const limit = 3 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if os.Getenv("KEEP") == "1" && !isKeeper() {
		os.Exit(startKeeper(ctx))
	}
	os.Exit(run(ctx))
}

// run runs the demo and returns its exit code: 0 if all checks matched.
func run(ctx context.Context) int {
	binary, err := besideMe("gabion")
	if err != nil {
		return fail(err)
	}
	d := &demo{report: newReport(os.Stdout), binary: binary}
	err = d.run(ctx)
	switch {
	case ctx.Err() != nil:
		err = errors.New("interrupted; everything is removed")
	case err != nil:
		d.showLogs(os.Stderr)
	}
	if isKeeper() && ctx.Err() == nil && d.lab != nil {
		d.explainUse()
		code := d.verdict(err)
		handOver(code)
		<-ctx.Done()
		err = nil
	}
	if closeErr := d.close(); closeErr != nil {
		return fail(closeErr)
	}
	if isKeeper() {
		return 0
	}
	return d.verdict(err)
}

// verdict writes the last line and returns the exit code.
func (d *demo) verdict(err error) int {
	if err != nil {
		return fail(err)
	}
	fmt.Fprintf(d.out, "\ndemo: %d checks, %d mismatches\n", d.checks, d.mismatches)
	if d.mismatches > 0 {
		return 1
	}
	return 0
}

func fail(err error) int {
	fmt.Fprintf(os.Stderr, "demo: %v\n", err)
	return 1
}

// besideMe is the path of a program in this one's directory.
func besideMe(name string) (string, error) {
	me, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find own program: %w", err)
	}
	path := filepath.Join(filepath.Dir(me), name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("find %s: build it with make build", path)
	}
	return path, nil
}
