package agent

import (
	"fmt"
	"log/slog"
	"strings"
	"time"
)

const (
	// auditEvery is how often what is in force is looked at although nothing changed:
	// something else may have detached a filter, or emptied a map.
	auditEvery = time.Second

	// alarmFor is how long the host's status tells of what was found and repaired.
	alarmFor = time.Minute
)

// alarm remembers what audits found.
type alarm struct {
	log    *slog.Logger
	drifts int64     // how often something was found
	last   error     // what was found last; nil once it was told for long enough
	found  time.Time // when that was
	clean  time.Time // when nothing was found
	broken string    // why the audit itself does not work
}

// raise notes what was found. It may have been so since the audit before.
func (a *alarm) raise(drift []string) {
	exposure := time.Since(a.clean)
	a.drifts++
	a.last = fmt.Errorf("something else changed what is enforced (%s); for %s at most it was not in force, and is repaired",
		strings.Join(drift, "; "), exposure.Round(time.Millisecond))
	a.found = time.Now()
	a.log.Error("something else changed what is enforced; it is repaired", "drift", drift, "exposure", exposure, "drifts", a.drifts)
}

// quiet notes that nothing was found, and tells whether an alarm ended with that.
func (a *alarm) quiet() (ended bool) {
	a.clean = time.Now()
	if a.last == nil || time.Since(a.found) < alarmFor {
		return false
	}
	a.last = nil
	return true
}

func (a *alarm) check(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != a.broken {
		a.log.Warn("what is enforced can't be looked at", "error", err)
	}
	a.broken = text
}

// inspect holds what is in force against what the enforcer left there, and tells
// whether there is anything to do.
func (e *enforcer) inspect() (news bool) {
	if e.state == nil || e.links == nil {
		return false
	}
	drift, err := e.datapath.Audit()
	belted := e.protection.belted
	e.protection.verify()
	if e.protection.tampered {
		e.protection.tampered = false
		drift = append(drift, "nftables' table of closed interfaces")
	}
	e.alarm.check(err)
	if len(drift) > 0 {
		e.alarm.raise(drift)
		e.dirty, e.owed = true, true
		return true
	}
	ended, other := e.alarm.quiet(), belted != e.protection.belted
	e.owed, e.dirty = e.owed || ended, e.dirty || other
	return ended || other
}
