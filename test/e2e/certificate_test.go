package e2e_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gabion/gabion/client/rest"
	"github.com/gabion/gabion/internal/lab"
)

// said tells whether the host's agent has written that.
func (s *site) said(t *testing.T, host, words string) bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.lab.Dir(), host+".log"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(text), words)
}

// An expired certificate ends updates, never enforcement: not even when the host
// restarts and has nothing but what it wrote down.
func TestExpiredCertificate(t *testing.T) {
	s := newSite(t)
	s.start(t)
	twoRoles(t, s)
	for name := range s.guests {
		s.awaitState(t, name, rest.InstanceStateRunning)
	}
	before := s.predictor(t)
	h := s.lab.Hosts()[0]
	identity := filepath.Join(s.lab.Dir(), h.Name, "identity.pem")
	good, err := os.ReadFile(identity)
	if err != nil {
		t.Fatal(err)
	}
	s.restartWith(t, h, expired(t, s.server.Dir, good))
	s.await(t, "the agent to say what to do", func() bool { return s.said(t, h.Name, "certificate ended at") })
	if !s.said(t, h.Name, "gabion host token h1") || !s.said(t, h.Name, "what is in force stays") {
		t.Error("the agent does not say what to do, or what goes on")
	}
	for _, guest := range []string{"a1", "b1"} {
		s.awaitVerdict(t, guest, false)
	}
	s.check(t, s.everyPair(), before.Passes)
	message := s.refused(t, "rule delete servers "+s.ruleID(t, "servers", webPort)+" --wait 2s")
	if !strings.Contains(message, h.Name) {
		t.Errorf("%q does not name the host that gets no updates", message)
	}

	s.restartWith(t, h, good) // the control: nothing else kept it from updates
	s.awaitOperation(t, message)
	s.checkPredicted(t)
}

// restartWith starts the host's agent again as after a restart of the host, with
// another identity.
func (s *site) restartWith(t *testing.T, h *lab.Host, identity []byte) {
	t.Helper()
	a := s.agents[h.Name]
	for _, step := range []func() error{
		a.Kill,
		func() error { return os.RemoveAll(filepath.Join("/sys/fs/bpf/gabion", s.lab.Name(h.Name))) },
		func() error { return os.WriteFile(filepath.Join(s.lab.Dir(), h.Name, "identity.pem"), identity, 0o600) },
		a.Start,
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}

// expired is the identity with a certificate that ended an hour ago.
func expired(t *testing.T, serverDir string, identity []byte) []byte {
	t.Helper()
	signer, _ := pem.Decode(contents(t, filepath.Join(serverDir, "ca.key")))
	authority, err := x509.ParsePKCS8PrivateKey(signer.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	key, rest := pem.Decode(identity)
	host, ca := pem.Decode(rest)
	cert := parseCertificate(t, host.Bytes)
	issuer, _ := pem.Decode(ca)
	cert.NotAfter = time.Now().Add(-time.Hour)
	cert.NotBefore = cert.NotAfter.Add(-24 * time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, cert, parseCertificate(t, issuer.Bytes), cert.PublicKey, authority.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	aged := pem.EncodeToMemory(key)
	aged = append(aged, pem.EncodeToMemory(&pem.Block{Type: host.Type, Bytes: der})...)
	return append(aged, ca...)
}

func contents(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parseCertificate(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// A host that is deleted loses its stream, and its certificate opens no other. The
// server promises 60 s; it takes what the store's watch takes.
func TestDeletedHostLosesItsStream(t *testing.T) {
	s := newSite(t)
	s.start(t)
	if s.said(t, "h1", "was deleted") {
		t.Fatal("it says so already")
	}
	s.run(t, "host delete h1")
	begin := time.Now()
	s.await(t, "the agent to lose its stream", func() bool { return s.said(t, "h1", "was deleted") })
	t.Logf("it lost its stream within %s", time.Since(begin).Round(time.Millisecond))
	if s.said(t, "h2", "was deleted") {
		t.Error("the other host, too")
	}
}
