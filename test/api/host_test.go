package api_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/feed"
	"github.com/gabion/gabion/internal/pki"
	"github.com/gabion/gabion/internal/policy"
)

// host is the stream's end of a hypervisor, without a kernel behind it: it says
// that it enforces what it was sent, unless it is told to hold that back.
type host struct {
	client *feed.Client

	mu      sync.Mutex
	holding bool
	at      feed.Position
	running map[string]bool // what it sees
	problem error           // what it can't enforce
}

// join lets a host join with a token that the API made, and connects it.
func (r *running) join(t *testing.T, name string) *host {
	t.Helper()
	a := r.say(t, "POST", "/host-token", fmt.Sprintf(`{"host":%q}`, name))
	text, _ := a.body["token"].(string)
	token, err := pki.ParseToken(text)
	if err != nil {
		t.Fatalf("the token of %s: %v", a.text, err)
	}
	identity, err := feed.Join(t.Context(), r.agents, token)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{running: map[string]bool{}}
	h.client = feed.NewClient(feed.ClientConfig{
		Servers: []string{r.agents}, Version: "test", Identity: identity, Receiver: h,
		SaveIdentity: func(*pki.Identity) error { return nil },
		Log:          slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.client.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("host ended: %v", err)
		}
	})
	return h
}

// Replace finds the host's instances running.
func (h *host) Replace(epoch string, v *policy.View) {
	h.see(slices.Collect(maps.Values(v.Instances)))
	h.reach(feed.Position{Epoch: epoch, Revision: v.Revision})
}

func (h *host) Change(d *policy.Delta) {
	h.mu.Lock()
	epoch := h.at.Epoch
	h.mu.Unlock()
	h.see(d.Instances)
	h.reach(feed.Position{Epoch: epoch, Revision: d.Revision})
}

func (h *host) see(instances []*gabion.Instance) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = maps.Clone(h.running)
	for _, i := range instances {
		h.running[i.ID] = true
	}
	h.client.Observe(h.running)
}

func (h *host) reach(at feed.Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = at
	if !h.holding {
		h.client.Ack(at, h.problem)
	}
}

// hold lets the host be slow until release.
func (h *host) hold() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.holding = true
}

func (h *host) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.holding = false
	h.client.Ack(h.at, nil)
}

// await asks for the route until the answer is as it should be.
func (r *running) await(t *testing.T, route string, as func(answer) bool) answer {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		a := r.say(t, "GET", route, "")
		if as(a) {
			return a
		}
		if time.Now().After(deadline) {
			t.Fatalf("GET %s: still %s", route, a.text)
		}
	}
}

func has(field string, value any) func(answer) bool {
	return func(a answer) bool { return a.body[field] == value }
}

// register makes an instance with one interface of that number.
func (r *running) register(t *testing.T, host, name string, number int) string {
	t.Helper()
	return r.reference(t, "POST", "/instance", fmt.Sprintf(
		`{"name":%q,"host":%q,"interfaces":[{"name":"tap%d","mac":"52:54:00:00:00:%02x","ipv4":["10.0.0.%d"],"ipv6":["2001:db8::%x"]}]}`,
		name, host, number, number, number, number))
}

func TestOperationSucceedsWhenTheHostEnforcesIt(t *testing.T) {
	r := start(t)
	h := r.join(t, "hv1")
	id := r.register(t, "hv1", "web1", 1)
	if a := r.await(t, "/host/hv1", has("state", "online")); a.body["instances"] != 1.0 || a.body["version"] != "test" {
		t.Errorf("the host: got %s", a.text)
	}

	h.hold()
	route := "/security-group/" + r.defaultGroup(t)
	ssh := ingress(`"protocol":"tcp","start-port":22,"end-port":22,"network":"192.0.2.0/24"`)
	a := r.say(t, "POST", route+"/rules", ssh)
	if a.body["state"] != "pending" || a.message() != "waiting for host hv1 to enforce it" {
		t.Errorf("while the host is slow: got %s", a.text)
	}
	operation := "/operation/" + a.body["id"].(string)
	h.release()
	r.await(t, operation, has("state", "success"))

	h.hold()
	if a := r.say(t, "POST", "/security-group", `{"name":"app"}`); a.body["state"] != "success" {
		t.Errorf("a change that concerns no host waits for one: %s", a.text)
	}
	if a := r.say(t, "GET", operation, ""); a.body["state"] != "success" {
		t.Errorf("a success went back: %s", a.text)
	}
	h.release()

	if a := r.say(t, "DELETE", "/host/hv1", ""); a.status != 409 || !strings.Contains(a.message(), "web1") {
		t.Errorf("deleting a host with an instance: got %d %s", a.status, a.text)
	}
	r.reference(t, "DELETE", "/instance/"+id, "")
	if a := r.say(t, "DELETE", "/host/hv1", ""); a.status != 200 {
		t.Errorf("deleting a host without instances: got %d %s", a.status, a.text)
	}
}

func TestInstanceIsWhatItsHostSees(t *testing.T) {
	r := start(t)
	h := r.join(t, "hv1")
	id := r.register(t, "hv1", "web1", 1)
	group := r.createGroup(t, "web")
	attach := "/security-group/" + group + ":attach"
	member := `{"instance":{"created-at":"0001-01-01T00:00:00Z","id":"` + id + `"}}`

	// It runs, and who was told that it exists can rely on that at once.
	if a := r.say(t, "PUT", attach, member); a.status != 409 || !strings.Contains(a.message(), "stop it first") {
		t.Errorf("attaching while it runs: got %d %s", a.status, a.text)
	}
	a := r.say(t, "GET", "/instance/"+id, "")
	if a.body["state"] != "running" || a.body["public-ip"] != "10.0.0.1" || a.body["ipv6-address"] != "2001:db8::1" || a.body["mac-address"] != "52:54:00:00:00:01" {
		t.Errorf("the instance: got %s", a.text)
	}
	for _, verb := range []string{"start", "stop", "reboot"} {
		if a := r.say(t, "PUT", "/instance/"+id+":"+verb, ""); a.status != 409 || !strings.Contains(a.message(), verb+" it there, on its hypervisor") {
			t.Errorf("%s: got %d %s", verb, a.status, a.text)
		}
	}
	h.client.Observe(map[string]bool{id: false})
	r.await(t, "/instance/"+id, has("state", "stopped"))
	r.reference(t, "PUT", attach, member)

	for _, body := range []string{
		`{"name":"again","host":"hv1","interfaces":[{"name":"tap1","mac":"52:54:00:00:00:02"}]}`,
		`{"name":"again","host":"hv1","interfaces":[{"name":"tap2","mac":"52:54:00:00:00:01"}]}`,
		`{"name":"again","host":"hv1","interfaces":[{"name":"tap2","mac":"52:54:00:00:00:02","ipv4":["10.0.0.1"]}]}`,
	} {
		if a := r.say(t, "POST", "/instance", body); a.status != 409 || !strings.Contains(a.message(), "web1") {
			t.Errorf("%s: got %d %s", body, a.status, a.text)
		}
	}
}

func TestWhatAHostLeavesOutHoldsNobodyUp(t *testing.T) {
	r := start(t)
	h := r.join(t, "hv1")
	r.register(t, "hv1", "web1", 1)
	h.mu.Lock()
	h.problem = errors.New("create tap tap2: no /dev/net/tun")
	h.mu.Unlock()

	a := r.say(t, "POST", "/instance", `{"name":"web2","host":"hv1","interfaces":[{"name":"tap2","mac":"52:54:00:00:00:02"}]}`)
	if a.body["state"] != "success" || a.message() != "host hv1 could not enforce everything: create tap tap2: no /dev/net/tun" {
		t.Errorf("the instance on it: got %s", a.text)
	}
	a = r.say(t, "POST", "/security-group/"+r.defaultGroup(t)+"/rules", ingress(`"protocol":"tcp","start-port":22,"end-port":22,"network":"192.0.2.0/24"`))
	if a.body["state"] != "success" || a.message() != "" {
		t.Errorf("a rule of all instances: got %s", a.text)
	}
	h.mu.Lock()
	h.problem = errors.New("leave instance b7e2 without network on tap22: it is a card\ncreate tap tap3: no /dev/net/tun")
	h.mu.Unlock()
	a = r.say(t, "POST", "/instance", `{"name":"web3","host":"hv1","interfaces":[{"name":"tap3","mac":"52:54:00:00:00:03"}]}`)
	if a.message() != "host hv1 could not enforce everything: create tap tap3: no /dev/net/tun" {
		t.Errorf("a host with problems of others' instances: got %s", a.text)
	}
	a = r.say(t, "POST", "/instance", `{"name":"web4","host":"hv1","interfaces":[{"name":"tap4","mac":"52:54:00:00:00:04"}]}`)
	if a.message() != "host hv1 could not enforce everything: ask your operator" {
		t.Errorf("a host with problems of others' instances only: got %s", a.text)
	}
	a = r.await(t, "/host/hv1", has("error", "leave instance b7e2 without network on tap22: it is a card; create tap tap3: no /dev/net/tun"))
	if a.body["state"] != "failing" {
		t.Errorf("the host: got %s", a.text)
	}
}

func TestExplain(t *testing.T) {
	r := start(t)
	r.join(t, "hv1")
	r.register(t, "hv1", "web1", 1)
	db := r.register(t, "hv1", "db1", 2)
	group := r.defaultGroup(t)
	r.reference(t, "POST", "/security-group/"+group+"/rules", ingress(`"protocol":"tcp","start-port":5432,"end-port":5432,"security-group":{"name":"default"}`))
	r.reference(t, "POST", "/security-group/"+group+"/rules", ingress(`"protocol":"icmpv6","network":"2001:db8:1::/48"`))

	tests := []struct {
		from, to, what string
		allowed        bool
		summary        string
	}{
		{"web1", "db1", `"protocol":"tcp","port":5432`, true, "tcp 5432 from web1 (10.0.0.1) to db1 (10.0.0.2) is allowed: by an ingress rule of group default"},
		{"10.0.0.1", db, `"protocol":"TCP","port":5432`, true, "tcp 5432 from web1 (10.0.0.1) to db1 (10.0.0.2) is allowed: by an ingress rule of group default"},
		{"2001:db8::1", "db1", `"protocol":"tcp","port":5432`, true, "tcp 5432 from web1 (2001:db8::1) to db1 (2001:db8::2) is allowed: by an ingress rule of group default"},
		{"web1", "db1", `"protocol":"tcp","port":22`, false, "tcp 22 from web1 (10.0.0.1) to db1 (10.0.0.2) is denied: no ingress rule of db1 admits it"},
		{"192.0.2.1", "db1", `"protocol":"udp","port":5432`, false, "udp 5432 from 192.0.2.1 to db1 (10.0.0.2) is denied: no ingress rule of db1 admits it"},
		{"2001:db8:1::7", "db1", `"protocol":"icmpv6"`, true, "icmpv6 128/0 from 2001:db8:1::7 to db1 (2001:db8::2) is allowed: by an ingress rule of group default"},
		{"web1", "192.0.2.1", `"protocol":"gre"`, true, "gre from web1 (10.0.0.1) to 192.0.2.1 is allowed: web1 has no egress rule, so all egress is open"},
		{"192.0.2.1", "192.0.2.2", `"protocol":"icmp","icmp":{"type":0,"code":0}`, true, "icmp 0/0 from 192.0.2.1 to 192.0.2.2 is allowed: neither end is an instance"},
	}
	for _, tt := range tests {
		a := r.say(t, "POST", "/explain", fmt.Sprintf(`{"from":%q,"to":%q,%s}`, tt.from, tt.to, tt.what))
		if a.body["allowed"] != tt.allowed || a.body["summary"] != tt.summary {
			t.Errorf("from %s to %s, %s: got %d %s", tt.from, tt.to, tt.what, a.status, a.text)
		}
	}
	r.reference(t, "POST", "/security-group/"+group+"/rules", `{"flow-direction":"egress","protocol":"udp","network":"0.0.0.0/0"}`)
	a := r.say(t, "POST", "/explain", `{"from":"web1","to":"192.0.2.1","protocol":"gre"}`)
	if a.body["allowed"] != false || !strings.Contains(a.text, "no egress rule of web1 admits it") || !strings.Contains(a.text, "denied-egress") {
		t.Errorf("once there is an egress rule: got %s", a.text)
	}
}
