package pki_test

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gabion/gabion/internal/pki"
)

// A server that runs for years meets the end of its certificate's life.
func TestServerCertificateIsRenewedWhileTheServerRuns(t *testing.T) {
	dir := t.TempDir()
	ca := openCA(t, dir)
	s, err := ca.ServerCertificate(dir, "127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	first := at(t, s, time.Now())
	almost := pki.RenewalTime(first).Add(-time.Minute)
	if !at(t, s, almost).Equal(first) {
		t.Error("it was renewed before two thirds of its life were over")
	}
	due := almost.Add(2 * time.Minute)
	second := at(t, s, due)
	if second.Equal(first) {
		t.Fatal("it was not renewed after two thirds of its life")
	}
	_, err = second.Verify(x509.VerifyOptions{Roots: ca.Pool(), DNSName: pki.ServerName, CurrentTime: first.NotAfter.Add(time.Hour)})
	if err != nil {
		t.Errorf("after the end of the first one's life: %v", err)
	}
}

func TestServerCertificateThatCannotBeRenewedIsUsedToItsEnd(t *testing.T) {
	dir := t.TempDir()
	s, err := openCA(t, dir).ServerCertificate(dir, "127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	first := at(t, s, time.Now())
	// A directory in its place can't be replaced by a file, not even by root.
	path := filepath.Join(dir, "server.pem")
	remove(t, path)
	if err := os.MkdirAll(filepath.Join(path, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if !at(t, s, first.NotAfter.Add(-time.Hour)).Equal(first) {
		t.Error("before its end: another certificate")
	}
	if _, err := s.At(first.NotAfter); err == nil {
		t.Error("after its end: it is still used")
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if at(t, s, first.NotAfter).Equal(first) {
		t.Error("after the repair: not renewed")
	}
}

func at(t *testing.T, s *pki.ServerCertificate, now time.Time) *x509.Certificate {
	t.Helper()
	cert, err := s.At(now)
	if err != nil {
		t.Fatal(err)
	}
	return cert.Leaf
}
