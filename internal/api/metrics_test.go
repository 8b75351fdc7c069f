package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gabion/gabion"
	"github.com/gabion/gabion/internal/api"
	"github.com/gabion/gabion/internal/flow"
)

// TestMetricsAreTheOperators asks with no key, a wrong one, and the operator's.
func TestMetricsAreTheOperators(t *testing.T) {
	for name, test := range map[string]struct {
		key, secret string
		want        int
	}{
		"nobody": {"", "", http.StatusUnauthorized}, "wrong secret": {key, "x" + secret, http.StatusUnauthorized},
		"unknown key": {"EXOnobody", secret, http.StatusUnauthorized}, "no key id": {"../" + key, secret, http.StatusUnauthorized},
		"operator": {key, secret, http.StatusOK}, "member": {key, secret, http.StatusUnauthorized},
	} {
		h := api.New(api.Config{
			Store: &fleet{fakeStore{operator: name != "member"}}, Receipts: awaiting{}, Telemetry: quiet{}, Metrics: api.NewMetrics(),
			Log: slog.New(slog.DiscardHandler),
		})
		r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		if name != "nobody" {
			r.SetBasicAuth(test.key, test.secret)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != test.want {
			t.Errorf("%s was answered %d %s, want %d", name, w.Code, w.Body, test.want)
		}
		if name == "operator" {
			again := httptest.NewRecorder() // the first answer is counted now
			h.ServeHTTP(again, r)
			holdsDeclared(t, again.Body.String())
		}
	}
}

// fleet is a store with one host.
type fleet struct{ fakeStore }

func (*fleet) Hosts(context.Context) ([]gabion.Host, []gabion.HostStatus, error) {
	took := time.Millisecond
	return []gabion.Host{{Name: "hv1"}}, []gabion.HostStatus{{Host: "hv1", LastSeen: time.Now(), Took: &took}}, nil
}

// quiet is a telemetry of one drop.
type quiet struct{}

func (quiet) Reasons() map[gabion.Reason]uint64 {
	return map[gabion.Reason]uint64{gabion.DropDeniedIngress: 1}
}
func (quiet) Watching() (s flow.HubStats) { return s }
func (quiet) Disagreements() uint64       { return 0 }
func (quiet) Connected() int              { return 1 }

// holdsDeclared holds that what is scraped is what the code declares, of which a test
// in packaging holds the documentation and the dashboard to it.
func holdsDeclared(t *testing.T, scraped string) {
	t.Helper()
	code, err := os.ReadFile("metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`"(gabion_[a-z_]+)"`).FindAllStringSubmatch(string(code), -1) {
		if !strings.Contains(scraped, "\n"+name[1]) {
			t.Errorf("%s is declared and not there", name[1])
		}
	}
}
