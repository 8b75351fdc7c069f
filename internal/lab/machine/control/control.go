// Package control is what a virtual machine of the lab is told to do, and what it
// answers: one JSON value a line over its second serial port.
package control

// Command is one thing to do. The first field that is set says which.
type Command struct {
	Send    *Send    `json:"send,omitempty"`
	Capture *Capture `json:"capture,omitempty"`
	Upload  *Upload  `json:"upload,omitempty"`
}

// Send puts frames on eth0, in that order.
type Send struct {
	Frames [][]byte `json:"frames"`
}

// Capture begins a promiscuous capture on eth0, or ends it.
type Capture struct {
	Stop bool `json:"stop"`
}

// Upload sends bytes to a TCP echo service and waits until all have come back.
type Upload struct {
	To    string `json:"to"`
	Bytes int    `json:"bytes"`
}

// Answer is how a command went.
type Answer struct {
	Ready  bool     `json:"ready,omitempty"` // once, after the start
	Error  string   `json:"error,omitempty"`
	Frames [][]byte `json:"frames,omitempty"` // what a capture saw: the first MaxFrames
	Seen   int      `json:"seen,omitempty"`   // how many it saw
}

// MaxFrames is how many frames of a capture are reported whole.
const MaxFrames = 64

// The machine's kernel command line carries these.
const (
	ArgAddress = "gabion.address" // a prefix of eth0
	Port       = "/dev/ttyS1"
)
