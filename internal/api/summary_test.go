package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api"
	"github.com/gabion/gabion/internal/flow"
	"github.com/gabion/gabion/internal/policy"
)

// memory is an inventory, a store that knows of nothing else, and flows that there are not.
type memory struct {
	fakeStore
	api.Flows
	world *policy.World
	asked int64 // newest revision that was waited for
}

func (m *memory) Inspect(_ context.Context, revision int64, look func(*policy.World)) error {
	m.asked = max(m.asked, revision)
	look(m.world)
	return nil
}

func (m *memory) LastChange(context.Context, string) (int64, error) { return m.world.Revision(), nil }

func (m *memory) PrimaryGroup(context.Context, string) (string, error) { return groupID(0), nil }

func (m *memory) StatesOf(context.Context, string, []string) (map[string]gabion.InstanceState, error) {
	return nil, nil
}

func (m *memory) Hits(context.Context, []string) (map[string]flow.Hits, error) { return nil, nil }

func groupID(n int) string { return fmt.Sprintf("5a9a3c5e-7c0e-4f3c-9a4c-0000%08x", n) }

func instanceID(n int) string { return fmt.Sprintf("5a9a3c5e-7c0e-4f3c-9a4c-1111%08x", n) }

// large is 10,000 groups, one of them with 5,000 rules that name others, and 50,000
// instances in three groups each.
func large() *memory {
	var c policy.Change
	c.Revision = 77
	for n := range 10_000 {
		c.Groups = append(c.Groups, &gabion.Group{
			ID: groupID(n), Organization: org, Name: fmt.Sprintf("Group %05d", n*7919%10_000), Description: "Serves whoever comes.",
		})
	}
	for n := range 5000 {
		c.Rules = append(c.Rules, &gabion.Rule{
			ID: fmt.Sprint("rule", n), Group: groupID(0), Protocol: gabion.TCP, Ports: gabion.PortRange{Start: 1, End: uint16(n + 1)},
			Peer: gabion.Peer{Group: groupID(n)},
		})
	}
	for n := range 50_000 {
		c.Instances = append(c.Instances, &gabion.Instance{
			ID: instanceID(n), Organization: org, Name: fmt.Sprintf("Instance-%05d", n*7919%50_000), Host: fmt.Sprintf("hv%03d", n%200),
			Groups: []string{groupID(0), groupID(n % 10_000), groupID((n + 4999) % 10_000)},
			NICs:   []gabion.NIC{{Interface: fmt.Sprint("tap", n), Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})}}},
		})
	}
	m := &memory{world: policy.NewWorld()}
	m.world.Apply(c)
	return m
}

func (m *memory) handler() http.Handler {
	return api.New(api.Config{
		Store: m, Inventory: m, Flows: m, Metrics: api.NewMetrics(), Zone: "ch-gva-2", Log: slog.New(slog.DiscardHandler),
	})
}

// BenchmarkPage answers pages of an organization that is as large as they come,
// but for the few keys that are read from etcd.
func BenchmarkPage(b *testing.B) {
	m := large()
	h := m.handler()
	for _, page := range []struct{ name, route string }{
		{"groups/first", "/security-group-summary?limit=100"},
		{"groups/last", "/security-group-summary?limit=100&offset=9900"},
		{"groups/search", "/security-group-summary?limit=100&search=4321"},
		{"instances/first", "/instance-summary?limit=100"},
		{"instances/last", "/instance-summary?limit=100&offset=49900"},
		{"instances/search", "/instance-summary?limit=100&search=10.0.77"},
		{"instances/nothing", "/instance-summary?limit=100&search=nobody-has-this"},
		{"instances/group", "/instance-summary?limit=100&security-group=" + groupID(4711)},
		{"usage/one", "/security-group/" + groupID(4711) + "/usage"},
	} {
		b.Run(page.name, func(b *testing.B) {
			for b.Loop() {
				fetch(b, h, page.route)
			}
		})
	}
	b.Run("instances/first after a change", func(b *testing.B) {
		for b.Loop() {
			i := *m.world.Instance(instanceID(25_000))
			m.world.Apply(policy.Change{Revision: m.world.Revision() + 1, Instances: []*gabion.Instance{&i}})
			fetch(b, h, "/instance-summary?limit=100")
		}
	})
}

// TestHostileSearchesFindNothingButAnswer holds that what is searched is text and
// nothing else.
func TestHostileSearchesFindNothingButAnswer(t *testing.T) {
	m := &memory{world: policy.NewWorld()}
	m.world.Apply(policy.Change{
		Revision:  5,
		Groups:    []*gabion.Group{{ID: groupID(0), Organization: org, Name: "web"}, {ID: groupID(1), Organization: "another", Name: "hidden"}},
		Instances: []*gabion.Instance{{ID: instanceID(0), Organization: org, Name: "web1"}, {ID: instanceID(1), Organization: "another", Name: "hidden"}},
	})
	h := m.handler()
	for search, want := range map[string]int{
		"web": 1, "": 1, "hidden": 0, ".*": 0, "w%b": 0, "_": 0, "web\x00": 0, "\x00": 0, "\xff": 0, "web\n": 0, "'; --": 0, "../": 0, strings.Repeat("w", 255): 0,
	} {
		for _, route := range []string{"/security-group-summary?search=", "/instance-summary?search="} {
			var got struct{ Total int }
			if err := json.Unmarshal(fetch(t, h, route+url.QueryEscape(search)), &got); err != nil {
				t.Fatal(err)
			}
			if got.Total != want {
				t.Errorf("%s%q finds %d, want %d", route, search, got.Total, want)
			}
		}
	}
	if m.asked != 5 {
		t.Errorf("pages are as of revision %d, want the organization's last, 5", m.asked)
	}
}

// fetch asks for what there is, and returns the answer's text.
func fetch(t testing.TB, h http.Handler, route string) []byte {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, signed(http.MethodGet, route, "", time.Now().Add(5*time.Minute)))
	if w.Code != http.StatusOK {
		t.Fatalf("GET %s was answered %d %s", route, w.Code, w.Body)
	}
	return w.Body.Bytes()
}
