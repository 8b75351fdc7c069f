package faults_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// diskSize is more than etcd takes from the start, and wants to be left.
const diskSize = 512 << 20

// A disk that is full, or fails to sync, acknowledges nothing that is not kept.
func TestDiskFull(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	dir := filepath.Join(s.lab.Dir(), "server")
	must(t, os.Mkdir(dir, 0o700))
	must(t, unix.Mount("gbft", dir, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize)))
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	s.start(t)
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	time.Sleep(300 * time.Millisecond)
	filler := filepath.Join(dir, "filler")
	fill(t, filler)
	var err error
	refused := await(t, "a write to be refused", func() bool { err = s.write(t); return err != nil })
	r.say("%s after the last byte was taken writes are refused with %q", rounded(refused), message(err))
	time.Sleep(*lasts)
	if ended(s.server.Process()) {
		t.Error("the server ended")
	}
	must(t, os.Remove(filler))
	r.say("they are made again %s after there is room", rounded(s.writable(t)))
	s.settled(t)
	r.packets(traffic)
	r.converged(s, churn)
}

// fill takes all the room that there is.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	for zeros := make([]byte, 64<<10); err == nil; {
		_, err = f.Write(zeros)
	}
	if !isFull(err) {
		t.Fatal(err)
	}
}

func isFull(err error) bool {
	return err != nil && bytes.Contains([]byte(err.Error()), []byte("no space left"))
}

// What can't be synced is not acknowledged.
func TestSyncFails(t *testing.T) {
	r := begin(t)
	s := newSite(t)
	s.start(t)
	churn := s.startChurn(t, 0)
	traffic := s.startTraffic(t)
	for range times(1, 20) {
		time.Sleep(300 * time.Millisecond)
		strace := exec.Command("strace", "-f", "-qq", "-o", os.DevNull, "-e", "trace=fsync,fdatasync",
			"-e", "inject=fsync,fdatasync:error=EIO", "-p", fmt.Sprint(s.server.Process().Pid()))
		must(t, strace.Start())
		if refused := await(t, "a write to be refused", func() bool { return s.write(t) != nil }); refused > patience {
			t.Error("writes go on though nothing is synced")
		}
		must(t, strace.Process.Kill()) // asked politely it would wait for a process that has ended
		strace.Wait()                  //nolint:errcheck // it was killed
		await(t, "the server to end, or to write again", func() bool { return ended(s.server.Process()) || s.write(t) == nil })
		if ended(s.server.Process()) {
			must(t, s.server.Start(t.Context()))
		}
	}
	s.settled(t)
	r.packets(traffic)
	r.say("the server ends when it can't sync, and its unit starts it again")
	r.converged(s, churn)
}
