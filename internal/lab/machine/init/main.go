// Command init is the first and only process of a virtual machine of the lab. It
// does what it is told over the second serial port.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gabion/gabion/internal/lab/machine/control"
)

func main() {
	fmt.Fprintln(os.Stderr, "init:", run())
	unix.Sync()
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF) //nolint:errcheck // there is nobody left to tell
}

// run does what it is told until it can't.
func run() error {
	if err := prepare(); err != nil {
		return err
	}
	port, err := openPort()
	if err != nil {
		return err
	}
	answers := json.NewEncoder(port)
	if err := answers.Encode(control.Answer{Ready: true}); err != nil {
		return err
	}
	return serve(bufio.NewReader(port), answers)
}

// openPort opens the serial port as it is: no echo, no line discipline.
func openPort() (io.ReadWriter, error) {
	port, err := os.OpenFile(control.Port, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	fd := int(port.Fd())
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("read settings of %s: %w", control.Port, err)
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return port, unix.IoctlSetTermios(fd, unix.TCSETS, t)
}

func serve(commands *bufio.Reader, answers *json.Encoder) error {
	m := &machine{}
	for {
		line, err := commands.ReadBytes('\n')
		if err != nil {
			return err
		}
		var c control.Command
		answer := control.Answer{}
		if err := json.Unmarshal(line, &c); err != nil {
			answer.Error = err.Error()
		} else {
			answer = m.do(c)
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
}

// machine is what the commands work on.
type machine struct{ capture *capture }

func (m *machine) do(c control.Command) control.Answer {
	var answer control.Answer
	var err error
	switch {
	case c.Send != nil:
		err = send(c.Send)
	case c.Capture != nil && c.Capture.Stop:
		answer.Frames, answer.Seen = m.capture.stop()
	case c.Capture != nil:
		m.capture, err = startCapture()
	case c.Upload != nil:
		err = upload(c.Upload, time.Minute)
	}
	if err != nil {
		answer.Error = err.Error()
	}
	return answer
}
