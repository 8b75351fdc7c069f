package pki

import (
	"crypto/tls"
	"time"
)

// At is the certificate for a connection made at that time.
func (s *ServerCertificate) At(now time.Time) (*tls.Certificate, error) { return s.current(now) }
