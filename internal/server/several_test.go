package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/client"
	"github.com/gabion/gabion/client/rest"
	"github.com/gabion/gabion/internal/etcdcluster"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/pki"
	"github.com/gabion/gabion/internal/policy"
	"github.com/gabion/gabion/internal/server"
)

// most is how long it may take until hosts and writes go on.
const most = 5 * time.Second

// host is the stream's end of a hypervisor that enforces whatever it is told at once.
type host struct {
	client *feed.Client

	mu   sync.Mutex
	at   feed.Position
	view *policy.View
}

func (h *host) Replace(epoch string, v *policy.View) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.view, h.at = v, feed.Position{Epoch: epoch, Revision: v.Revision}
	h.client.Ack(h.at, nil)
}

func (h *host) Change(d *policy.Delta) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.view.Apply(d)
	h.at.Revision = d.Revision
	h.client.Ack(h.at, nil)
}

func (h *host) position() feed.Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *host) instances() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.view == nil {
		return -1
	}
	return len(h.view.Instances)
}

// joinHost lets a host join at one of the servers, and runs it until the test ends.
func joinHost(t *testing.T, c *client.Client, name string, servers ...string) *host {
	t.Helper()
	made, err := c.CreateHostToken(t.Context(), name)
	must(t, err)
	token, err := pki.ParseToken(made.Token)
	must(t, err)
	identity, err := feed.JoinAny(t.Context(), servers, token)
	must(t, err)
	h := &host{}
	h.client = feed.NewClient(feed.ClientConfig{
		Servers: servers, Version: "test", Identity: identity, Receiver: h, Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.client.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-done)
	})
	return h
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// await waits until something is so, and returns how long that took.
func await(t *testing.T, what string, is func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	for !is() {
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(begin)
}

// operator is a client of the server with the key that its admin.env has, and the
// last answer's warning.
func operator(t *testing.T, dir string, s *server.Server) (*client.Client, *atomic.Value) {
	t.Helper()
	warning := new(atomic.Value)
	to := &url.URL{Scheme: "http", Host: s.PlainAddr().String()}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(r *http.Response) error {
			warning.Store(r.Header.Get("Warning"))
			return nil
		},
	})
	t.Cleanup(proxy.Close)
	config := client.Config{Endpoint: proxy.URL + "/v2"}
	text, err := os.ReadFile(filepath.Join(dir, "admin.env"))
	must(t, err)
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "export ")), "=")
		switch value = strings.Trim(value, "'"); name {
		case "EXOSCALE_API_KEY":
			config.Key = value
		case "EXOSCALE_API_SECRET":
			config.Secret = value
		}
	}
	c, err := client.New(config)
	must(t, err)
	return c, warning
}

// startOn runs a server on the cluster, prepared in some ways.
func startOn(t *testing.T, endpoints []string, like string, prepare ...func(*server.Server)) (s *server.Server, dir string, stop func()) {
	t.Helper()
	c := configure(t)
	c.EtcdEndpoints, c.ListenHTTP = endpoints, "127.0.0.1:0"
	if like != "" {
		copyKeys(t, like, c.DataDir)
	}
	s, err := server.New(t.Context(), c)
	must(t, err)
	for _, p := range prepare {
		p(s)
	}
	stop = sync.OnceFunc(runs(t, s))
	t.Cleanup(stop)
	return s, c.DataDir, stop
}

// copyKeys does what docs/operating.md says to make a second server.
func copyKeys(t *testing.T, from, to string) {
	t.Helper()
	must(t, os.MkdirAll(to, 0o700))
	for _, name := range []string{"ca.pem", "ca.key", "secret"} {
		data, err := os.ReadFile(filepath.Join(from, name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(to, name), data, 0o600))
	}
}

func TestServersOnOneCluster(t *testing.T) {
	cluster := etcdcluster.Start(t)
	first, dir, stop := startOn(t, cluster.Endpoints, "")
	second, dir2, _ := startOn(t, cluster.Endpoints, dir)
	at1, _ := operator(t, dir, first)
	at2, warning := operator(t, dir2, second)

	const count = 20
	servers := []string{first.AgentAddr().String(), second.AgentAddr().String()}
	hosts := make([]*host, count)
	for n := range hosts {
		hosts[n] = joinHost(t, at1, fmt.Sprint("hv", n), servers...)
	}
	await(t, "all hosts are connected", func() bool { return first.Connected()+second.Connected() == count })
	t.Logf("%d and %d hosts", first.Connected(), second.Connected())
	if first.Connected() == 0 || second.Connected() == 0 {
		t.Error("one server has no hosts at all")
	}
	place := func(c *client.Client, host, number int) (rest.Operation, error) {
		return c.CreateInstance(t.Context(), instanceOn(fmt.Sprint("hv", host), number))
	}
	// Each change is asked for at one server and waited for at the other.
	for n := range hosts {
		asked, other := at1, at2
		if n%2 == 0 {
			asked, other = other, asked
		}
		op, err := place(asked, n, n)
		must(t, err)
		if op, err = other.Wait(t.Context(), op); err != nil || op.State != rest.OperationStateSuccess {
			t.Fatalf("operation %+v, %v", op, err)
		}
	}

	op, err := place(at1, 0, count)
	must(t, err)
	stop()
	cluster.Kill(cluster.Leader())
	took := await(t, "all hosts are at the other server", func() bool { return second.Connected() == count })
	t.Logf("all hosts moved over in %s", took)
	if took > most {
		t.Errorf("that is more than %s", most)
	}
	if done, err := at2.Wait(t.Context(), op); err != nil || done.State != rest.OperationStateSuccess {
		t.Errorf("the operation of the server that is gone: %+v, %v", done, err)
	}
	begin := time.Now()
	for {
		op, err := place(at2, 1, count+1)
		if err == nil {
			_, err = at2.Wait(t.Context(), op)
		}
		if err == nil {
			break
		}
		if time.Since(begin) > 2*most {
			t.Fatalf("writes do not go on: %v", err)
		}
	}
	t.Logf("writes go on after %s", time.Since(begin))
	if w := warning.Load(); w != "" {
		t.Errorf("an answer has the warning %q", w)
	}
}

// instanceOn is an instance on a host, the number-th of all.
func instanceOn(host string, number int) rest.CreateInstanceRequest {
	ip := fmt.Sprintf("10.0.0.%d", number+1)
	mac := fmt.Sprintf("52:54:00:00:00:%02x", number+1)
	name := fmt.Sprint("tap", number)
	return rest.CreateInstanceRequest{
		Name: fmt.Sprint("i", number), Host: host,
		Interfaces: []rest.InterfaceRequest{{Name: name, MAC: mac, IPv4: []string{ip}}},
	}
}

func TestReadsAndWritesWithoutQuorum(t *testing.T) {
	cluster := etcdcluster.Start(t)
	s, dir, _ := startOn(t, cluster.Endpoints, "")
	c, warning := operator(t, dir, s)
	made, err := c.CreateGroup(t.Context(), rest.CreateSecurityGroupRequest{Name: "web"})
	must(t, err)
	_, err = c.Wait(t.Context(), made)
	must(t, err)
	awaitReady(t, dir, s.Addr())

	cluster.Kill(0)
	cluster.Kill(1)
	begin := time.Now()
	groups, err := c.Groups(t.Context())
	if took := time.Since(begin); err != nil || len(groups) != 2 || took > most {
		t.Errorf("%d groups after %s, %v", len(groups), took, err)
	}
	if w := warning.Load(); w != `110 gabion "Response is Stale"` {
		t.Errorf("the answer has the warning %q", w)
	}
	begin = time.Now()
	_, err = c.CreateGroup(t.Context(), rest.CreateSecurityGroupRequest{Name: "db"})
	if took := time.Since(begin); gabion.CodeOf(err) != gabion.CodeUnavailable || took > most {
		t.Errorf("a change: %v after %s", err, took)
	}
	if status := probe(t, s, "/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz: %d", status)
	}

	cluster.Revive(0)()
	await(t, "changes go on", func() bool {
		_, err := c.CreateGroup(t.Context(), rest.CreateSecurityGroupRequest{Name: "db"})
		return err == nil || gabion.CodeOf(err) == gabion.CodeConflict
	})
	if _, err := c.Groups(t.Context()); err != nil || warning.Load() != "" {
		t.Errorf("afterwards: warning %q, %v", warning.Load(), err)
	}
}

// probe is the status that a path answers without TLS.
func probe(t *testing.T, s *server.Server, path string) int {
	t.Helper()
	reply, err := http.Get("http://" + s.PlainAddr().String() + path)
	must(t, err)
	must(t, reply.Body.Close())
	return reply.StatusCode
}

// TestServerOfAnotherInstallationIsRefused starts servers beside the first one with
// less than its keys.
func TestServerOfAnotherInstallationIsRefused(t *testing.T) {
	cluster := etcdcluster.Start(t)
	_, dir, _ := startOn(t, cluster.Endpoints, "")
	for name, lacks := range map[string][]string{
		"nothing": {"ca.pem", "ca.key", "secret"}, "authority": {"ca.pem", "ca.key"}, "secret": {"secret"},
	} {
		c := configure(t)
		c.EtcdEndpoints = cluster.Endpoints
		copyKeys(t, dir, c.DataDir)
		for _, file := range lacks {
			must(t, os.Remove(filepath.Join(c.DataDir, file)))
		}
		_, err := server.New(t.Context(), c)
		if err == nil || !strings.Contains(err.Error(), "copy ca.pem, ca.key and secret") {
			t.Errorf("%s: got %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(c.DataDir, "admin.env")); err == nil {
			t.Errorf("%s: it wrote admin.env", name)
		}
		copyKeys(t, dir, c.DataDir)
		s, end := run(t, c)
		awaitReady(t, c.DataDir, s.Addr())
		end()
	}
}

// TestHostsTakeTheOlderPolicyOfABackup restores a store of before some changes, onto
// another machine's address, and sees the host go back to it.
func TestHostsTakeTheOlderPolicyOfABackup(t *testing.T) {
	c := configure(t)
	c.ListenHTTP = "127.0.0.1:0"
	s, end := run(t, c)
	stop := sync.OnceFunc(end)
	defer stop()
	api, _ := operator(t, c.DataDir, s)
	h := joinHost(t, api, "hv1", s.AgentAddr().String())
	place := func(number int) {
		op, err := api.CreateInstance(t.Context(), instanceOn("hv1", number))
		must(t, err)
		_, err = api.Wait(t.Context(), op)
		must(t, err)
	}
	place(1)
	file := filepath.Join(t.TempDir(), "backup.tar")
	_, err := server.Backup(t.Context(), c.DataDir, file, "test", c.Log)
	must(t, err)
	place(2)
	place(3)
	before := h.position()
	stop()

	restored := configure(t)
	restored.AgentListen, restored.ListenHTTP = s.AgentAddr().String(), "127.0.0.1:0"
	_, err = server.Restore(t.Context(), restored.DataDir, file, c.Log)
	must(t, err)
	s, end = run(t, restored)
	defer end()
	await(t, "the host has the policy of the backup", func() bool { return h.instances() == 1 })
	after := h.position()
	if after.Epoch == before.Epoch || after.Revision >= before.Revision {
		t.Errorf("the host was at %+v and is at %+v", before, after)
	}
	api, _ = operator(t, restored.DataDir, s)
	place(2)
	if h.instances() != 2 {
		t.Errorf("it has %d instances, want 2", h.instances())
	}
}
