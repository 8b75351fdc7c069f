package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// With KEEP=1 the demo runs in a process of its own session, the keeper. Once the
// checks are done the keeper hands its exit code over to the process that the user
// started, which ends; the keeper holds the lab until it is asked to end.

// keeperVariable tells the keeper that it is one.
const keeperVariable = "GABION_DEMO_KEEPER"

// handOverFD is the keeper's end of the pipe to the process that started it.
const handOverFD = 3

func isKeeper() bool { return os.Getenv(keeperVariable) != "" }

// startKeeper starts the keeper and returns the exit code that it hands over.
func startKeeper(ctx context.Context) int {
	read, write, err := os.Pipe()
	if err != nil {
		return fail(err)
	}
	me, err := os.Executable()
	if err != nil {
		return fail(err)
	}
	keeper := exec.Command(me)
	keeper.Env = append(os.Environ(), keeperVariable+"=1")
	keeper.Stdout, keeper.Stderr = os.Stdout, os.Stderr
	keeper.ExtraFiles = []*os.File{write}
	keeper.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := keeper.Start(); err != nil {
		return fail(fmt.Errorf("start keeper: %w", err))
	}
	write.Close()
	interrupt := context.AfterFunc(ctx, func() { keeper.Process.Signal(syscall.SIGTERM) }) //nolint:errcheck // gone: nothing to end
	code := make([]byte, 1)
	if _, err := read.Read(code); err == nil {
		interrupt()
		return int(code[0])
	}
	// It ended before the checks were done, and has said why.
	keeper.Wait() //nolint:errcheck // its exit code says it
	return max(1, keeper.ProcessState.ExitCode())
}

// handOver lets the process that the user started end with the code. Whoever reads
// the output is told that it ends there, too.
func handOver(code int) {
	nowhere, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err == nil {
		for _, f := range []*os.File{os.Stdout, os.Stderr} {
			syscall.Dup2(int(nowhere.Fd()), int(f.Fd())) //nolint:errcheck // then output goes where nobody reads
		}
	}
	pipe := os.NewFile(handOverFD, "hand over")
	pipe.Write([]byte{byte(code)}) //nolint:errcheck // nobody waits for it
	pipe.Close()
}
