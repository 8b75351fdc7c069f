package server

import "time"

// Reachable is the address that admin.env names.
var Reachable = reachable

// SourceOf is whom a connection is counted for.
var SourceOf = sourceOf

// CheckFilesEvery sets how often given files are read again. Call it before Run.
func (s *Server) CheckFilesEvery(d time.Duration) { s.filesCheck = d }

// Connected is how many hosts have their stream to the server.
func (s *Server) Connected() int { return s.feed.Connected() }

// LearnLate has the server learn of each change so much later. Call it before Run.
func (s *Server) LearnLate(d time.Duration) { s.late = d }
