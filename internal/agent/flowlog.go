package agent

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/flow"
)

// toStdout is the name of a flow log that is standard output.
const toStdout = "-"

// flowLog writes flow events as JSON, one a line, whoever watches.
type flowLog struct {
	all bool // what is allowed, too
	log *slog.Logger

	mu     sync.Mutex
	to     io.WriteCloser
	failed bool
}

// logLine is a line of the flow log: the API's fields, as far as a host knows them.
type logLine struct {
	Time       string         `json:"time"`
	Instance   string         `json:"instance"`
	Interface  string         `json:"interface"`
	Verdict    string         `json:"verdict"`
	Reason     string         `json:"reason"`
	Direction  string         `json:"direction"`
	Protocol   string         `json:"protocol,omitempty"`
	Local      string         `json:"local,omitempty"`
	LocalPort  uint16         `json:"local-port,omitempty"`
	Remote     string         `json:"remote,omitempty"`
	RemotePort uint16         `json:"remote-port,omitempty"`
	ICMP       map[string]int `json:"icmp,omitempty"`
	Rule       string         `json:"rule,omitempty"`
	Lost       uint32         `json:"lost,omitempty"` // events of the interface before this one
}

// openFlowLog appends to a file, which may be rotated by copying and truncating.
func openFlowLog(path string, all bool, log *slog.Logger) (*flowLog, error) {
	switch path {
	case "":
		return nil, nil
	case toStdout:
		return &flowLog{all: all, log: log, to: os.Stdout}, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open flow log: %w", err)
	}
	return &flowLog{all: all, log: log, to: f}, nil
}

// write writes one line. A log that can't be written is reported once.
func (l *flowLog) write(e *flow.Event, lost uint32) {
	line := logLine{
		Time: e.Time.UTC().Format("2006-01-02T15:04:05.000000Z"), Instance: e.Instance.ID, Interface: e.Interface,
		Verdict: e.Reason.Verdict().String(), Reason: e.Reason.String(), Direction: e.Direction.String(), Rule: e.Rule, Lost: lost,
	}
	if e.Remote.IsValid() {
		line.Protocol = e.Protocol.String()
		line.Local, line.LocalPort = e.Local.Addr().String(), e.Local.Port()
		line.Remote, line.RemotePort = e.Remote.Addr().String(), e.Remote.Port()
	}
	if e.ICMP != (gabion.ICMPMatch{}) || e.Protocol.IsICMP() && e.Remote.IsValid() {
		line.ICMP = map[string]int{"type": e.ICMP.Type, "code": e.ICMP.Code}
	}
	text, err := json.Marshal(line)
	if err != nil {
		return // cannot fail: strings and numbers
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err = l.to.Write(append(text, '\n'))
	if err != nil && !l.failed {
		l.log.Error("flow events are not logged", "error", err)
	}
	l.failed = err != nil
}

func (l *flowLog) close() error {
	if l == nil || l.to == os.Stdout {
		return nil
	}
	return l.to.Close()
}
