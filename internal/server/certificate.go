package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gabion/gabion/internal/pki"
)

// filesCheck is how often the files of a given certificate are read again. They
// are small, and reading them finds what a link or a bind mount hides from a watch.
const filesCheck = 2 * time.Second

// openGiven reads the certificate that the operator gave, if there is one.
func (s *Server) openGiven(context.Context) (err error) {
	if s.config.TLSCert != "" {
		s.given, err = pki.OpenServerFiles(s.config.TLSCert, s.config.TLSKey)
	}
	return err
}

// apiTLS is how the API is served: with the given certificate, or with our own.
func (s *Server) apiTLS(own *pki.ServerCertificate) *tls.Config {
	config := own.TLS()
	if s.given != nil {
		config = s.given.TLS()
	}
	// net/http makes ready for HTTP/2 when it serves first, and that may be the
	// listener without TLS: then only if this is said here.
	config.NextProtos = []string{"h2", "http/1.1"}
	return config
}

// leaf is the given certificate; nil if the API is served with our own.
func (s *Server) leaf() *x509.Certificate {
	if s.given == nil {
		return nil
	}
	return s.given.Leaf()
}

// watchCertificate takes a given certificate's files over when they change, and at
// once on SIGHUP, until ctx ends. Our own certificate renews itself, and has no use
// for the signal; it must not end the server.
func (s *Server) watchCertificate(ctx context.Context) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	tick := time.NewTicker(s.filesCheck)
	defer tick.Stop()
	for {
		select {
		case <-hangup:
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if s.given != nil {
			s.reloadCertificate()
		}
	}
}

// reloadCertificate says what became of changed files.
func (s *Server) reloadCertificate() {
	changed, err := s.given.Reload()
	leaf := s.given.Leaf()
	switch {
	case err != nil:
		s.config.Log.Error("the new certificate is of no use; the old one stays", "error", err, "expires", leaf.NotAfter)
	case changed:
		s.config.Log.Info("certificate reloaded", "subject", leaf.Subject.String(), "expires", leaf.NotAfter)
	}
}
