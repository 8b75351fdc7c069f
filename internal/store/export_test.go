package store

var (
	// StartEmbeddedWithin is StartEmbedded with a database of at most quota bytes.
	StartEmbeddedWithin = startEmbedded
	// SweepOperations is what a server does now and then, with other limits.
	SweepOperations = (*Store).sweepOperations
)
