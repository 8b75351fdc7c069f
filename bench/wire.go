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

// Kinds of traffic. Of the mix, one frame in ten begins a flow.
const (
	established = "established"
	newFlows    = "new"
	mixed       = "mix"
)

// firstPort is the first port of flows; the others are above it.
const firstPort = 1024

const (
	settle = 150 * time.Millisecond // sent before a sample, so that flows and caches are there
	sample = 500 * time.Millisecond
)

// newScene makes a host with two guests. The addresses that they send from and to
// are not those that their kernels know: who receives a frame does nothing with it.
func newScene(l *lab.Lab) (*scene, error) {
	host, err := l.AddHost("bench")
	if err != nil {
		return nil, err
	}
	sender, errSender := host.AddGuest("sender")
	receiver, errReceiver := host.AddGuest("receiver")
	return &scene{
		host: host, sender: sender, receiver: receiver,
		sending:   netip.MustParseAddr("10.77.0.201"),
		receiving: netip.MustParseAddr("10.77.0.202"),
		port:      2000,
	}, errors.Join(errSender, errReceiver)
}

// measure is how many frames a second of that kind the receiver gets.
func (s *scene) measure(kind string) (rate float64, err error) {
	ready := make(chan error, 1)
	go func() { // on a thread of its own: pinned threads are not given back
		ready <- s.sender.Namespace().Do(func() error {
			if err := pin(0); err != nil {
				return err
			}
			rate, err = s.flood(kind)
			return err
		})
	}()
	return rate, <-ready
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
	there := addressing{s.receiver.MAC, s.receiving, s.port}
	f.load([][]byte{udpFrame(addressing{s.sender.MAC, s.sending, firstPort}, there)})
	vary := ports(kind)
	if err := f.flood(settle, vary); err != nil {
		return 0, err
	}
	before, err := s.received()
	if err != nil {
		return 0, err
	}
	start := time.Now()
	if err := f.flood(sample, vary); err != nil {
		return 0, err
	}
	elapsed := time.Since(start)
	after, err := s.received()
	return float64(after-before) / elapsed.Seconds(), err
}

// ports changes which flow the frames of a batch belong to.
func ports(kind string) func(*[batch][]byte) {
	source, destination := uint16(firstPort), uint16(firstPort)
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

// establish sends frames there and back.
func (s *scene) establish() error {
	here := addressing{s.sender.MAC, s.sending, firstPort}
	there := addressing{s.receiver.MAC, s.receiving, s.port}
	return errors.Join(
		sendBatch(s.sender, udpFrame(here, there)),
		sendBatch(s.receiver, udpFrame(there, here)),
	)
}

func sendBatch(from *lab.Guest, frame []byte) error {
	return from.Namespace().Do(func() error {
		f, err := newFlooder("eth0")
		if err != nil {
			return err
		}
		f.load([][]byte{frame})
		return errors.Join(f.send(), f.close())
	})
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
