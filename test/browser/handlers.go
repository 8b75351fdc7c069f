package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/gabion/gabion/internal/lab"
	"github.com/gabion/gabion/test/predict"
)

type handler func(ctx context.Context, s *site, with json.RawMessage) (any, error)

// handlers are what a test can ask, by name.
var handlers = map[string]handler{
	"try":     taking((*site).try),
	"compare": taking((*site).compare),
	"open":    taking((*site).open),
	"echo":    taking((*site).echo),
	"power":   taking((*site).power),
	"gabion":  taking((*site).gabion),
	"logs":    taking(func(s *site, _ context.Context, _ struct{}) (map[string]string, error) { return s.logs() }),
}

// taking reads what a handler is given.
func taking[With, Told any](handle func(*site, context.Context, With) (Told, error)) handler {
	return func(ctx context.Context, s *site, raw json.RawMessage) (any, error) {
		var with With
		if err := json.Unmarshal(raw, &with); err != nil {
			return nil, fmt.Errorf("read question: %w", err)
		}
		return handle(s, ctx, with)
	}
}

// try makes connections, all at once, and tells which of them passed.
func (s *site) try(ctx context.Context, attempts []attempt) ([]bool, error) {
	probes := make([]lab.Probe, len(attempts))
	for i, a := range attempts {
		var err error
		if probes[i], err = s.probe(a); err != nil {
			return nil, err
		}
	}
	return lab.Try(ctx, probes...)
}

// comparison is what all connections met, beside what the evaluator predicted.
type comparison struct {
	Tried      int      `json:"tried"`
	Passed     int      `json:"passed"`
	Mismatches []string `json:"mismatches"`
}

func (s *site) compare(ctx context.Context, _ struct{}) (comparison, error) {
	predictor, err := predict.Read(ctx, s.client)
	if err != nil {
		return comparison{}, err
	}
	probes := s.everyPair()
	passed, err := lab.Try(ctx, probes...)
	if err != nil {
		return comparison{}, err
	}
	c := comparison{Tried: len(probes), Mismatches: []string{}}
	for i, p := range probes {
		if passed[i] {
			c.Passed++
		}
		if predicted := predictor.Passes(p); predicted != passed[i] {
			c.Mismatches = append(c.Mismatches, fmt.Sprintf("%s: passed %t, predicted %t", p, passed[i], predicted))
		}
	}
	return c, nil
}

// open connects over TCP, and holds the connection under the name.
func (s *site) open(ctx context.Context, with struct {
	Name string `json:"name"`
	attempt
},
) (struct{}, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	with.Protocol = "tcp"
	p, err := s.probe(with.attempt)
	if err != nil {
		return struct{}{}, err
	}
	c, err := p.From.Dial(ctx, netip.AddrPortFrom(p.Destination(), p.Port))
	if err == nil {
		s.connections[with.Name] = c
	}
	return struct{}{}, err
}

// echo sends a byte over a held connection and tells whether one came back in time.
func (s *site) echo(_ context.Context, with struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
},
) (bool, error) {
	c := s.connections[with.Name]
	if c == nil {
		return false, fmt.Errorf("echo over %s: no such connection is held", with.Name)
	}
	if err := c.SetDeadline(time.Now().Add(time.Duration(with.Seconds * float64(time.Second)))); err != nil {
		return false, err
	}
	if _, err := c.Write([]byte("x")); err != nil {
		return false, nil //nolint:nilerr // a cut connection is an answer
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return false, err
	}
	return err == nil, nil
}

// power switches a machine on or off, as its hypervisor does.
func (s *site) power(_ context.Context, with struct {
	Machine string `json:"machine"`
	On      bool   `json:"on"`
},
) (struct{}, error) {
	guest := s.guests[with.Machine]
	if guest == nil {
		return struct{}{}, fmt.Errorf("switch %s: the lab has no such machine", with.Machine)
	}
	return struct{}{}, guest.SetUp(with.On)
}

// gabion runs a command of the command line as the operator, and tells what it printed.
func (s *site) gabion(ctx context.Context, args []string) (string, error) {
	return s.server.Run(ctx, args...)
}
