package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gabion/gabion/internal/lab"
)

// Kinds of floods of frames. Of the mix, one frame in ten begins a flow.
const (
	established = "established"
	newFlows    = "new"
	mixed       = "mix"
)

const (
	settle = 50 * time.Millisecond // sent before a sample, so that flows and caches are there
	sample = 200 * time.Millisecond
)

// flood measures how many frames a second of that kind the receiver gets.
func flood(kind string) workload {
	return func(s *scene) ([]figure, error) {
		var rate float64
		err := s.sender.Namespace().Do(func() error {
			if err := pin(core); err != nil {
				return err
			}
			var err error
			rate, err = s.flood(kind)
			return err
		})
		return []figure{{"frames/" + kind, "frames/s", rate}}, err
	}
}

func (s *scene) flood(kind string) (float64, error) {
	f, err := newFlooder("eth0")
	if err != nil {
		return 0, err
	}
	defer f.close() //nolint:errcheck // nothing was buffered
	if err := s.establish(); err != nil {
		return 0, err
	}
	f.load(s.frames(owned, port))
	vary := ports(kind)
	if _, err := f.flood(settle, vary); err != nil {
		return 0, err
	}
	before, err := s.received()
	if err != nil {
		return 0, err
	}
	start := time.Now()
	sent, err := f.flood(sample, vary)
	elapsed := time.Since(start)
	if err != nil {
		return 0, err
	}
	after, err := s.received()
	if lost := sent - int(after-before); err == nil && lost > sent/100 {
		err = fmt.Errorf("%s frames: %d of %d were lost", kind, lost, sent)
	}
	return float64(after-before) / elapsed.Seconds(), err
}

// ports changes which flow the frames of a batch belong to.
func ports(kind string) func(*[batch][]byte) {
	source, destination := uint16(firstPort+batch), uint16(firstPort)
	next := func(frame []byte) {
		if source++; source == 0 {
			source, destination = firstPort, destination+1
		}
		binary.BigEndian.PutUint16(frame[34:], source)
		binary.BigEndian.PutUint16(frame[36:], max(destination, firstPort))
	}
	every := map[string]int{newFlows: 1, mixed: 10}[kind]
	if every == 0 {
		return nil
	}
	return func(frames *[batch][]byte) {
		for i := 0; i < batch; i += every {
			next(frames[i])
		}
	}
}

// frames are of as many flows as they are, to one port of the receiver.
func (s *scene) frames(from source, to uint16) [][]byte {
	here := addressing{s.sender.MAC, s.sending, firstPort}
	if from == forged {
		here.ip = netip.MustParseAddr("10.77.0.203")
	}
	there := addressing{s.receiver.MAC, s.receiving, to}
	frames := make([][]byte, batch)
	for i := range frames {
		frames[i] = udpFrame(here, there)
		here.port++
	}
	return frames
}

// establish sends frames there, back and there again.
func (s *scene) establish() error {
	there := s.frames(owned, port)
	back := make([][]byte, len(there))
	for i := range there {
		back[i] = udpFrame(addressing{s.receiver.MAC, s.receiving, port}, addressing{s.sender.MAC, s.sending, firstPort + uint16(i)})
	}
	return errors.Join(sendBatch(s.sender, there), sendBatch(s.receiver, back), sendBatch(s.sender, there))
}

// framesPass sends a batch. Hosts have other things to say to each other too.
func framesPass(s *scene, from source, to uint16) (bool, error) {
	before, errBefore := s.received()
	err := sendBatch(s.sender, s.frames(from, to))
	after, errAfter := s.received()
	return after-before >= batch, errors.Join(errBefore, err, errAfter)
}

func sendBatch(from *lab.Guest, frames [][]byte) error {
	f, err := flooderOf(from)
	if err != nil {
		return err
	}
	return errors.Join(f.sendAll(frames), f.close())
}

func flooderOf(g *lab.Guest) (f *flooder, err error) {
	err = g.Namespace().Do(func() error {
		f, err = newFlooder("eth0")
		return err
	})
	return f, err
}

// received counts the frames that the receiver got so far.
func (s *scene) received() (count uint64, err error) {
	err = s.receiver.Namespace().Do(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/dev")
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			name, counters, ok := strings.Cut(line, ":")
			if ok && strings.TrimSpace(name) == "eth0" {
				count, err = strconv.ParseUint(strings.Fields(counters)[1], 10, 64)
				return err
			}
		}
		return fmt.Errorf("count frames of %s: no eth0", s.receiver.Name)
	})
	return count, err
}
