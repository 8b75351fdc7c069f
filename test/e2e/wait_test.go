package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gabion/gabion/client/rest"
	"github.com/gabion/gabion/internal/lab"
)

const (
	// silence is how long a connection is listened to that should be cut.
	silence = time.Second

	// resumption is how long TCP may take to send again what was dropped, and
	// agents to come back.
	resumption = 30 * time.Second
)

// connection is an open connection to a service that sends back what it gets.
type connection struct{ net.Conn }

func dial(t *testing.T, from *lab.Guest, to netip.AddrPort) *connection {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), resumption)
	defer cancel()
	c, err := from.Dial(ctx, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() }) //nolint:errcheck // it may be cut
	return &connection{c}
}

// echoes tells whether what is sent comes back.
func (c *connection) echoes(t *testing.T, text string) bool {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return c.hears(t, text, silence)
}

// hears tells whether text arrives in time.
func (c *connection) hears(t *testing.T, text string, within time.Duration) bool {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	n, err := io.ReadFull(c, got)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if n > 0 && string(got) != text {
		t.Fatalf("hears %q, want %q", got[:n], text)
	}
	return n > 0
}

// output is what a command writes.
func (s *site) output(t *testing.T, command string) string {
	t.Helper()
	out, err := s.server.Run(t.Context(), strings.Fields(command)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// ruleID is the id of the group's rule that begins at port.
func (s *site) ruleID(t *testing.T, group string, port int) string {
	t.Helper()
	var g rest.SecurityGroup
	if err := json.Unmarshal([]byte(s.output(t, "group show "+group+" -o json")), &g); err != nil {
		t.Fatal(err)
	}
	for _, r := range g.Rules {
		if r.StartPort == port {
			return r.ID
		}
	}
	t.Fatalf("%s has no rule for port %d", group, port)
	return ""
}

// awaitState waits until the server knows what the host has seen of the instance.
func (s *site) awaitState(t *testing.T, name string, want rest.InstanceState) {
	t.Helper()
	s.await(t, name+" to be "+string(want), func() bool {
		var i rest.Instance
		if err := json.Unmarshal([]byte(s.output(t, "instance show "+name+" -o json")), &i); err != nil {
			t.Fatal(err)
		}
		return i.State == want
	})
}

var operationID = regexp.MustCompile(`operation show (\S+)`)

// awaitOperation waits until the change is enforced that a refusal says is not yet.
func (s *site) awaitOperation(t *testing.T, message string) {
	t.Helper()
	found := operationID.FindStringSubmatch(message)
	if found == nil {
		t.Fatalf("%q names no operation", message)
	}
	s.await(t, "the change to be enforced", func() bool {
		operation, err := s.client.Operation(t.Context(), found[1])
		if err != nil {
			t.Fatal(err)
		}
		return operation.State == rest.OperationStateSuccess
	})
}

// await looks until it is so. Nothing tells a client that it is.
func (s *site) await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for late := time.Now().Add(resumption); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("waited %s for %s", resumption, what)
		}
	}
}
