package server

import "time"

// CheckFilesEvery sets how often given files are read again. Call it before Run.
func (s *Server) CheckFilesEvery(d time.Duration) { s.filesCheck = d }
