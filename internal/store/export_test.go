package store

import (
	"log/slog"
	"time"
)

// Care is how an embedded member is looked after.
type Care struct {
	Every time.Duration
	Quota int64
	Spare uint64
}

// StartEmbeddedWith is StartEmbedded with care of its own.
func StartEmbeddedWith(dir string, c Care, log *slog.Logger) (*Embedded, error) {
	return startEmbedded(dir, care{c.Every, c.Quota, c.Spare}, log)
}

// SetSpare sets how many bytes the disk has to have left.
func (e *Embedded) SetSpare(spare uint64) { e.carer.spare.Store(spare) }

// SweepOperations is what a server does now and then, with other limits.
var SweepOperations = (*Store).sweepOperations
