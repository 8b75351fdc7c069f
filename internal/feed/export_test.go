package feed

import (
	"context"
	"log/slog"
	"time"

	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/policy"
)

var (
	EncodeDelta = encodeDelta
	DecodeDelta = decodeDelta
	Chunks      = chunks

	RenewIdentity = renew
)

const (
	Window      = window
	ChunkWeight = chunkWeight
	MaxDelta    = maxDelta

	AdmissionCheck = admissionCheck

	MaxAsksOfOne = maxAsksOfOne

	PacePerSecond = pacePerSecond
	PaceAtOnce    = paceAtOnce
)

// Tracker is the server's record of who enforces what.
type Tracker struct{ *tracker }

func NewTracker() Tracker { return Tracker{newTracker()} }

func (t Tracker) Forgotten(host string, revision int64)    { t.forgotten(host, revision) }
func (t Tracker) Concern(host string, revision int64)      { t.concern(host, revision) }
func (t Tracker) Enforce(host string, revision int64) bool { return t.enforce(host, revision) }
func (t Tracker) Missing(revision int64) []string          { return t.missing(revision) }

// Take lets a host that holds what is at that position take one message of a server.
func Take(host *ClientConfig, m *feedpb.ServerMessage) error {
	host.Log = slog.New(slog.DiscardHandler)
	s := newStream(NewClient(*host), nil)
	s.inSync = true // no sender is needed
	return s.take(context.Background(), m)
}

// Nobody is a receiver that forgets.
type Nobody struct{}

func (Nobody) Replace(string, *policy.View) {}
func (Nobody) Change(*policy.Delta)         {}

// Has tells whether the host has a session.
func (s *Server) Has(host string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[host] != nil
}

// CheckAdmissionEvery sets how often a stream's certificate is looked at. Call it
// before a stream is opened.
func (s *Server) CheckAdmissionEvery(d time.Duration) { s.admissionCheck = d }

// LookOften makes a host look for a better server many times a second.
func LookOften(c ClientConfig) ClientConfig {
	c.looks = 50 * time.Millisecond
	return c
}
