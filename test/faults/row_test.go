package faults_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// row is one line of the table: a fault, and what was counted while it happened.
type row struct {
	*testing.T
	result *result
}

// result is what becomes of a row.
type result struct {
	mu      sync.Mutex
	state   string
	figures []string
}

// States of a row that did not end with its test.
const (
	held    = "held"
	failed  = "**not held**"
	absent  = "not there yet"
	notRun  = "not run"
	limited = "held with a limit"
)

// rows are the faults of the table, in its order: name of the test, fault, what is accepted.
var rows = []struct{ test, fault, accepted string }{
	{"TestAgentKilled", "kill -9 of an agent at random moments, also during an update and while it attaches", "I1–I5; reconciled within 2 s (p99)"},
	{"TestRulesChange", "10,000 changes of the rules", "I1–I5"},
	{"TestRevocation", "1,000 connections in use lose the rule that admitted them", "no payload once the change is reported as applied"},
	{"TestAgentStopped", "agent stopped (SIGSTOP)", "I1, I2; its readiness probe fails within 10 s, caught up within 5 s"},
	{"TestOutOfMemory", "agent and server get no more memory (RLIMIT_DATA) and end", "I1–I5; unready within 10 s, caught up within 5 s"},
	{"TestHostRestarts", "host restarts while the server is away", "I1: no frame before the policy; then the last policy, I2"},
	{"TestUpgrade", "upgrade and downgrade of the agents", "I1–I5, flows kept"},
	{"TestUpgradeOfLayout", "upgrade and downgrade of the agents with another layout of their maps", "I1–I5, flows kept"},
	{"TestServerAway", "server away, agents started anew meanwhile", "I1–I5; an idle agent uses less than 1 % of a processor"},
	{"TestBlackHole", "connection to the server that carries nothing any more, one way or both", "I1–I5; noticed within 20 s, resumed within 30 s"},
	{"TestBlackHoleOfTwo", "connection to one of two servers that carries nothing any more, one way or both", "I1–I5; noticed within 20 s, at the other within 30 s"},
	{"TestServerKilled", "kill -9 of the server with the embedded store at random moments", "I1–I5, nothing corrupt"},
	{"TestManyReconnect", "1,000 agents come back at once", "I1–I5; all in sync within 60 s, p99 of the API under 1 s"},
	{"TestServerOfTwoKilled", "one of two servers killed", "I1–I5; agents at the other within 30 s"},
	{"TestMemberKilled", "one of three etcd members killed, the leader again and again", "I1–I5; writes resume within 5 s"},
	{"TestQuorumLost", "two of three etcd members killed", "I1–I5; writes are refused within 5 s, reads say that they may be stale"},
	{"TestCompactedWhileAway", "history compacted while agents are away", "I1–I5"},
	{"TestStoreFull", "etcd full (NOSPACE)", "I1–I4; no false acknowledgement, a clear error"},
	{"TestDiskFull", "disk of the server full", "I1–I5; no false acknowledgement, a clear error"},
	{"TestSyncFails", "disk of the server fails to sync (EIO)", "I1–I5; no false acknowledgement"},
	{"TestClockJumps", "wall clocks of server and agents jump by an hour and by ten years, both ways", "I1–I5; signatures and certificates recover"},
	{"TestRestored", "store backed up, lost and restored to what it was", "I1, I2, I4; agents take the older policy"},
	{"TestDrift", "filter detached, map flushed, pin removed, nftables flushed by another tool", "repaired within 2 s and told"},
	{"TestTapsRecreated", "tap deleted and made anew with its old number, for another instance", "I1–I5; never the old identity, no pin, map or file left over"},
	{"TestTapRenamed", "tap renamed, and another instance registered with its new name", "I1–I5; never the old identity, no pin, map or file left over"},
	{"TestFlowTableFull", "flow table of an interface full", "I1–I5; new flows refused and counted, what flows and neighbours unaffected"},
	{"TestPolicyFull", "policy of some instances that does not fit into the maps", "I1–I5; what was in force stays for them, others get theirs; it is told, and nothing is reported as enforced that is not"},
	{"TestStateFileDamaged", "state file damaged and server away", "I1–I5; the file is refused, the policy in force kept"},
	{"TestFramesDamaged", "damaged and random frames, from who has a server's key to agents, and from who has a host's to the server", "I1–I5; refused, nobody ends, the last good policy kept"},
	{"TestPoison", "objects that can't be read, written straight into etcd", "I1–I5; reported"},
}

var (
	resultsLock sync.Mutex
	results     = map[string]*result{}
)

// begin is the row of the test that runs.
func begin(t *testing.T) *row {
	t.Helper()
	r := &row{t, &result{state: held}}
	resultsLock.Lock()
	results[t.Name()] = r.result
	resultsLock.Unlock()
	if !*full {
		t.Parallel()
	}
	t.Cleanup(func() {
		if t.Failed() {
			r.result.state = failed
		} else if t.Skipped() {
			r.result.state = notRun
		}
	})
	return r
}

// say adds a figure to the row.
func (r *row) say(format string, args ...any) {
	r.Helper()
	text := fmt.Sprintf(format, args...)
	r.Log(text)
	r.result.mu.Lock()
	defer r.result.mu.Unlock()
	r.result.figures = append(r.result.figures, text)
}

// limit says that the row can't be met as it is written, why, and what holds instead.
func (r *row) limit(format string, args ...any) {
	r.Helper()
	r.result.state = limited
	r.say(format, args...)
}

// within tells a time, and holds it to its bound in the long version: the short one
// shares its machine with other tests.
func (r *row) within(what string, took, bound time.Duration) {
	r.Helper()
	r.say("%s %s", what, rounded(took))
	if took <= bound {
		return
	}
	if *full {
		r.Errorf("%s took %s, more than %s", what, took, bound)
	} else {
		r.Logf("%s took %s, more than %s; the long version would fail", what, took, bound)
	}
}

// rounded has three digits or so.
func rounded(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}

// packets holds what arrived against what may (I1, I2).
func (r *row) packets(f *traffic) {
	r.Helper()
	f.stop(r.T)
	r.denied(f)
	sent, arrived, rate := f.sums(true)
	r.say("%s allowed (%.0f/s), %d lost", count(sent), rate, sent-arrived)
	if arrived != sent || sent == 0 {
		r.Errorf("I2: %d of %d allowed packets were lost:\n%s", sent-arrived, sent, strings.Join(f.holes(20), "\n"))
	}
}

// denied holds what arrived against what may not (I1).
func (r *row) denied(f *traffic) {
	r.Helper()
	sent, arrived, rate := f.sums(false)
	r.say("%s denied packets (%.0f/s), %d delivered", count(sent), rate, arrived)
	if arrived > 0 || sent == 0 {
		r.Errorf("I1: %d of %d denied packets arrived", arrived, sent)
		for _, s := range f.streams {
			if n := s.got.count(); !s.allowed && n > 0 {
				r.Errorf("I1: %s: %d", s.name, n)
			}
		}
	}
}

// converged holds I3 and I4 once the fault is over, while nobody does anything (I5).
func (r *row) converged(s *site, c *churn) {
	r.Helper()
	c.finish(r.T)
	s.settled(r.T)
	c.checkKept(r.T)
	s.checkOneHash(r.T)
	r.say("%d changes acknowledged, %d refused meanwhile, none lost; both agents at one policy", c.changes.Load(), c.refused.Load())
	if c.changes.Load() == 0 {
		r.Error("nothing was changed")
	}
}

// count is a number that can be read.
func count(n uint64) string {
	text := fmt.Sprint(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
