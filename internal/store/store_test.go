package store_test

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/store"
)

// world is a store of its own, with the organization that it was born with.
type world struct {
	*store.Store
	t        *testing.T
	org      string
	embedded *store.Embedded
	dir      string
}

// open starts a real etcd for the test.
func open(t *testing.T) *world {
	t.Helper()
	return openAt(t, t.TempDir())
}

func openAt(t *testing.T, dir string) *world {
	t.Helper()
	w := &world{t: t, dir: dir}
	var err error
	w.embedded, err = store.StartEmbedded(dir, w.log())
	must(t, err)
	t.Cleanup(func() { must(t, w.embedded.Close()) })
	w.Store = connect(t, w.embedded.Endpoint(), dir, w.log())
	w.org, _, err = w.Bootstrap(t.Context())
	must(t, err)
	return w
}

func (w *world) log() *slog.Logger { return slog.New(slog.NewTextHandler(w.t.Output(), nil)) }

func connect(t *testing.T, endpoint, dir string, log *slog.Logger) *store.Store {
	t.Helper()
	return connectTo(t, []string{endpoint}, dir, log)
}

func connectTo(t *testing.T, endpoints []string, dir string, log *slog.Logger) *store.Store {
	t.Helper()
	sealer, err := store.LoadSealer(filepath.Join(dir, "secret.key"))
	must(t, err)
	s, err := store.Connect(t.Context(), store.Config{Endpoints: endpoints, Sealer: sealer, Log: log})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() }) // some tests close it themselves
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// made is the id of what an operation made.
func (w *world) made(op gabion.Operation, err error) string {
	w.t.Helper()
	must(w.t, err)
	return op.Subject
}

func (w *world) group(name string) string {
	w.t.Helper()
	return w.made(w.CreateGroup(w.t.Context(), gabion.Group{Organization: w.org, Name: name}))
}

func (w *world) instance(name string, groups ...string) string {
	w.t.Helper()
	return w.made(w.CreateInstance(w.t.Context(), gabion.Instance{Organization: w.org, Name: name, Groups: groups}))
}

// organization makes another organization that may use the hosts.
func (w *world) organization(name string, hosts ...string) string {
	w.t.Helper()
	return w.made(w.CreateOrganization(w.t.Context(), gabion.Organization{Name: name, Hosts: hosts}))
}

// host joins a host.
func (w *world) host(name string) {
	w.t.Helper()
	w.joinWith(name, [32]byte{1})
}

// joinWith joins a host that gets the certificate.
func (w *world) joinWith(name string, certificate [32]byte) {
	w.t.Helper()
	hash := [32]byte{1, 2, 3}
	at := time.Now()
	must(w.t, w.CreateJoinToken(w.t.Context(), gabion.JoinToken{Host: name, Hash: hash, Expires: at.Add(time.Minute)}))
	must(w.t, w.RedeemJoinToken(w.t.Context(), name, hash, at, certificate))
}

func (w *world) rule(group string, r gabion.Rule) string {
	w.t.Helper()
	w.made(w.AddRules(w.t.Context(), w.org, group, []gabion.Rule{r}))
	rules, err := w.GroupRules(w.t.Context(), w.org, group)
	must(w.t, err)
	return rules[len(rules)-1].ID
}

func port(n uint16, peer string) gabion.Rule {
	r := gabion.Rule{Protocol: gabion.TCP, Ports: gabion.PortRange{Start: n, End: n}}
	if prefix, err := netip.ParsePrefix(peer); err == nil {
		r.Peer.Network = prefix
	} else {
		r.Peer.Group = peer
	}
	return r
}

func nic(name, mac string, addresses ...string) gabion.NIC {
	n := gabion.NIC{Interface: name}
	n.MAC, _ = gabion.ParseMAC("mac", mac)
	for _, a := range addresses {
		n.Addresses = append(n.Addresses, netip.MustParseAddr(a))
	}
	return n
}

// refused checks the code of an error, and that its message has the words.
func refused(t *testing.T, err error, code gabion.Code, words ...string) {
	t.Helper()
	if err == nil || gabion.CodeOf(err) != code {
		t.Fatalf("got error %v of code %d, want code %d", err, gabion.CodeOf(err), code)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("message %q lacks %q", err, word)
		}
	}
}

// only is the error of a call whose operation does not matter.
func only(_ gabion.Operation, err error) error { return err }
