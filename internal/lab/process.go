package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// stopping is how long a process has to end by itself.
const stopping = 5 * time.Second

// Process is a program that runs as long as the lab.
type Process struct {
	Log string // path of what it writes to standard output and error

	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // why it ended; read it after done
}

// Start runs a program in a namespace, or where the lab was built if that is nil. Its
// output goes to a file called by name in the lab's directory.
func (l *Lab) Start(ns *Namespace, name string, args ...string) (*Process, error) {
	log, err := os.OpenFile(filepath.Join(l.Dir(), name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", name, err)
	}
	defer log.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), l.run.environment())
	cmd.Stdout, cmd.Stderr = log, log
	// Its own process group: an interrupt at the terminal is for the lab's owner,
	// who stops things in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	start := cmd.Start
	if ns != nil {
		start = func() error { return ns.Do(cmd.Start) }
	}
	if err := start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{Log: log.Name(), cmd: cmd, done: make(chan struct{})}
	l.processes = append(l.processes, p)
	go p.wait()
	return p, nil
}

func (p *Process) wait() {
	p.err = p.cmd.Wait()
	close(p.done)
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Pid is the process's id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Stop asks the process to end, and makes it if it does not. One that has ended is fine.
func (p *Process) Stop() error {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(stopping):
		return p.Kill()
	}
}

// Kill ends the process at once, as a crash does.
func (p *Process) Kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

func (p *Process) signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s to %s: %w", s, p.cmd.Path, err)
	}
	return nil
}

// failure says why a process has ended that should not have.
func (p *Process) failure() error {
	<-p.done
	return fmt.Errorf("%s ended (%w): %s", filepath.Base(p.cmd.Path), p.err, lastLine(p.Log))
}

func lastLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}
