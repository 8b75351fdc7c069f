package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A purse is a control group of this process: the kernel puts down there what it
// takes for it, maps and their elements included, and nothing of anybody else.
type purse struct {
	dir, home string
	version   int
}

// openPurse puts the process into a new one.
func openPurse() (*purse, error) {
	root, controller, version := "/sys/fs/cgroup/memory", "memory", 1
	if _, err := os.Stat(root); err != nil {
		root, controller, version = "/sys/fs/cgroup", "", 2
	}
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	p := &purse{dir: filepath.Join(root, "gabion-bench-"+strconv.Itoa(os.Getpid())), version: version}
	for line := range strings.Lines(string(text)) {
		if fields := strings.SplitN(strings.TrimSpace(line), ":", 3); len(fields) == 3 && fields[1] == controller {
			p.home = filepath.Join(root, fields[2])
		}
	}
	if err := os.Mkdir(p.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make control group: %w", err)
	}
	if err := enter(p.dir); err != nil {
		return nil, errors.Join(err, os.Remove(p.dir))
	}
	return p, nil
}

func enter(dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
		return fmt.Errorf("enter control group: %w", err)
	}
	return nil
}

// close takes the process out again.
func (p *purse) close() error { return errors.Join(enter(p.home), os.Remove(p.dir)) }

// taken is how many bytes the kernel has taken so far.
func (p *purse) taken() (float64, error) {
	if p.version == 1 {
		text, err := os.ReadFile(filepath.Join(p.dir, "memory.kmem.usage_in_bytes"))
		if err != nil {
			return 0, err
		}
		return strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	}
	text, err := os.ReadFile(filepath.Join(p.dir, "memory.stat"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "kernel "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, errors.New("read memory.stat: no line says kernel")
}
