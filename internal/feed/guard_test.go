package feed_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/feed/feedpb"
	"github.com/gabion/gabion/internal/pki"
	"github.com/gabion/gabion/internal/policy"
)

// opened is a stream of hv1 that is in sync.
func opened(t *testing.T, z *zone, id *pki.Identity) grpc.BidiStreamingClient[feedpb.AgentMessage, feedpb.ServerMessage] {
	t.Helper()
	stream := rawStream(t, z, id)
	if err := stream.Send(hello("", 0)); err != nil {
		t.Fatal(err)
	}
	awaitInSync(t, stream)
	return stream
}

// ends reads until the stream ends, and checks that it says why.
func ends(t *testing.T, stream grpc.BidiStreamingClient[feedpb.AgentMessage, feedpb.ServerMessage], says string) {
	t.Helper()
	var err error
	for err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), says) {
		t.Errorf("the stream ended with %v, want it forbidden: %q", err, says)
	}
}

// What a server does not hear of the store ends a stream nonetheless.
func TestStreamThatIsNoLongerAdmitted(t *testing.T) {
	for says, revoke := range map[string]func(m *memory){
		"was deleted":         func(m *memory) { delete(m.hosts, "hv1") },
		"it has joined again": func(m *memory) { m.certs["hv1"] = [][32]byte{{1}} },
	} {
		t.Run(says, func(t *testing.T) {
			z := newZone(t, populated(), "hv1")
			z.server.CheckAdmissionEvery(10 * time.Millisecond)
			stream := opened(t, z, identity(t, z.ca, "hv1"))
			z.commit(policy.Change{Rules: []*gabion.Rule{rule("r", "g", 80)}}) // the control: it is looked at often, and goes on
			if m, err := stream.Recv(); err != nil || m.GetDelta() == nil {
				t.Fatalf("an admitted host: %v, %v", m, err)
			}
			z.mu.Lock()
			revoke(z.memory)
			z.mu.Unlock()
			ends(t, stream, says)
		})
	}
}

func TestAdmissionIsCheckedOftenEnough(t *testing.T) {
	if feed.AdmissionCheck > 30*time.Second {
		t.Errorf("every %s: a host that was deleted is promised to be cut within 60 s", feed.AdmissionCheck)
	}
}

// A stream does not outlive the certificate that it was opened with.
func TestStreamEndsWithItsCertificate(t *testing.T) {
	z, dir := agingZone(t)
	id := ending(t, dir, "hv1", time.Now().Add(2*time.Second))
	stream := opened(t, z, id)
	ends(t, stream, "has expired")
}

// A host whose certificate has ended keeps what it has, and its log says what to do.
func TestHostWithACertificateThatHasEnded(t *testing.T) {
	z, dir := agingZone(t)

	r, told := newReceiver(), make(chan string, 100)
	startHost(t, z, feed.ClientConfig{
		Identity: ending(t, dir, "hv1", time.Now().Add(-time.Second)), Receiver: r,
		Log: slog.New(slog.NewTextHandler(writer(func(p []byte) (int, error) {
			told <- string(p)
			return len(p), nil
		}), nil)),
	})
	select {
	case line := <-told:
		for _, want := range []string{"the policy in force stays", "certificate ended at", "remove identity.pem", "gabion host token hv1"} {
			if !strings.Contains(line, want) {
				t.Errorf("the log says %q, want %q in it", line, want)
			}
		}
	case <-time.After(patience):
		t.Fatal("the log says nothing")
	}
	if len(r.told) != 0 {
		t.Error("the host was told something")
	}
	good := newReceiver()
	startHost(t, z, feed.ClientConfig{Identity: ending(t, dir, "hv1", time.Now().Add(time.Hour)), Receiver: good})
	good.await(t, "replace") // the control
}

// A certificate is renewed while it is good, and the stream goes on with the new
// one when the old one ends.
func TestRenewedCertificateCarriesOn(t *testing.T) {
	z, dir := agingZone(t)
	old := ending(t, dir, "hv1", time.Now().Add(4*time.Second)) // of 24 hours: it is due
	saved, r := make(chan *pki.Identity, 1), newReceiver()
	client := startHost(t, z, feed.ClientConfig{Identity: old, Receiver: r, SaveIdentity: func(id *pki.Identity) error {
		saved <- id
		return nil
	}})
	r.await(t, "replace")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- client.Renew(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	select {
	case renewed := <-saved:
		if end := renewed.Certificate().NotAfter; end.Before(time.Now().Add(300 * 24 * time.Hour)) {
			t.Errorf("the new certificate ends at %s", end)
		}
	case <-time.After(patience):
		t.Fatal("it was not renewed")
	}
	r.await(t, "change") // what a new stream begins with: it is in sync
	z.commit(policy.Change{Rules: []*gabion.Rule{rule("r", "g", 80)}})
	r.await(t, "change")
	if time.Now().Before(old.Certificate().NotAfter) {
		t.Error("the stream did not last as long as its certificate")
	}
}

// agingZone is a zone whose server looks often, with the directory of its authority.
func agingZone(t *testing.T) (z *zone, dir string) {
	t.Helper()
	dir = t.TempDir()
	ca, err := pki.OpenCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	z = newZoneOf(t, ca, populated(), "hv1")
	z.server.CheckAdmissionEvery(10 * time.Millisecond)
	return z, dir
}

// ending is an identity of the authority in dir whose certificate ends then.
func ending(t *testing.T, dir, host string, end time.Time) *pki.Identity {
	t.Helper()
	authority := parse(t, filepath.Join(dir, "ca.pem"), x509.ParseCertificate)
	signer := parse(t, filepath.Join(dir, "ca.key"), x509.ParsePKCS8PrivateKey)
	key, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(end.UnixNano()), NotBefore: end.Add(-24 * time.Hour), NotAfter: end,
		Subject:  pkix.Name{CommonName: host, OrganizationalUnit: []string{"host"}},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority, key.Public(), signer.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	id, err := pki.NewIdentity(key, der, authority.Raw)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func parse[T any](t *testing.T, path string, read func([]byte) (T, error)) T {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	v, err := read(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
