package main

import (
	"errors"

	"golang.org/x/sys/unix"
)

// block is how much the ends of a stream write and read at once.
const block = 256 << 10

// streaming measures one connection's throughput, with the offloads of the
// guests' links: what its bytes cost, both ends on one core.
func streaming(s *scene) ([]figure, error) {
	var rate float64
	err := s.connected(func(c connection) (err error) {
		buffer := make([]byte, block)
		rate, err = repeat(func() (int, error) {
			if _, err := some(unix.Write(c.sender, buffer)); err != nil {
				return 0, err
			}
			return some(unix.Read(c.receiver, buffer))
		})
		return err
	})
	return []figure{{"stream", "Gbit/s", gigabits(rate)}}, err
}

// streamingApart measures the same with each end on a core of its own, as two
// machines are. What is written is as good as read: little fits in between.
func streamingApart(s *scene) ([]figure, error) {
	var rate float64
	err := s.connected(func(c connection) (err error) {
		drained := make(chan error, 1)
		go func() { drained <- drain(c.receiver) }()
		buffer := make([]byte, block)
		rate, err = repeat(func() (int, error) {
			n, err := some(unix.Write(c.sender, buffer))
			if n == 0 && err == nil {
				err = await(c.sender, unix.POLLOUT)
			}
			return n, err
		})
		return errors.Join(err, unix.Shutdown(c.sender, unix.SHUT_WR), <-drained)
	})
	return []figure{{"stream-apart", "Gbit/s", gigabits(rate)}}, err
}

// drain reads until the sender has no more to say.
func drain(socket int) error {
	if err := pin(otherCore); err != nil {
		return err
	}
	buffer := make([]byte, block)
	for {
		n, err := unix.Read(socket, buffer)
		switch {
		case errors.Is(err, unix.EAGAIN):
			if err := await(socket, unix.POLLIN); err != nil {
				return err
			}
		case err != nil || n == 0:
			return err
		}
	}
}

// await waits until the socket is ready, at most as long as it takes that what was
// lost is sent again.
func await(socket int, events int16) error {
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(socket), Events: events}}, 2000)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// some is how much was written or read, which may be nothing for now.
func some(n int, err error) (int, error) {
	if errors.Is(err, unix.EAGAIN) {
		return 0, nil
	}
	return n, err
}

func gigabits(bytes float64) float64 { return bytes * 8 / 1e9 }
