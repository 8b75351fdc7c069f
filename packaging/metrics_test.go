package packaging_test

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

var (
	metric    = regexp.MustCompile(`gabion_[a-z_]+`)
	declared  = regexp.MustCompile(`"(gabion_[a-z_]+)"`)
	tableRow  = regexp.MustCompile("(?m)^\\| `(gabion_[a-z_]+)` \\|")
	histogram = regexp.MustCompile(`_(bucket|sum|count)$`)
)

func text(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func first(matches [][]string) []string {
	names := map[string]bool{}
	for _, m := range matches {
		names[m[1]] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// TestMetricsAreThoseThatAreDocumented holds code, documentation, dashboard and alerts
// together.
func TestMetricsAreThoseThatAreDocumented(t *testing.T) {
	code := text(t, "../internal/api/metrics.go") + text(t, "../internal/agent/metrics.go") + text(t, "../internal/server/condition.go")
	there := first(declared.FindAllStringSubmatch(code, -1))
	if diff := cmp.Diff(there, first(tableRow.FindAllStringSubmatch(text(t, "../docs/observability.md"), -1))); diff != "" {
		t.Errorf("metrics (-in the code +in docs/observability.md):\n%s", diff)
	}
	shown := map[string]bool{}
	for _, file := range []string{"grafana-dashboard.json", "alerts.yaml"} {
		for _, name := range metric.FindAllString(text(t, file), -1) {
			name = histogram.ReplaceAllString(name, "")
			shown[name] = true
			if !slices.Contains(there, name) {
				t.Errorf("%s names %s, which there is not", file, name)
			}
		}
	}
	for _, name := range there {
		if !shown[name] {
			t.Errorf("%s is neither in the dashboard nor in an alert", name)
		}
	}
}

func TestDashboardAndAlertsCanBeRead(t *testing.T) {
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(text(t, "grafana-dashboard.json")), &dashboard); err != nil || len(dashboard.Panels) == 0 {
		t.Errorf("dashboard: %d panels, %v", len(dashboard.Panels), err)
	}
	var alerts struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Labels      struct{ Severity string }
				Annotations struct{ Summary string }
			}
		}
	}
	if err := yaml.Unmarshal([]byte(text(t, "alerts.yaml")), &alerts); err != nil {
		t.Fatal(err)
	}
	for _, group := range alerts.Groups {
		for _, r := range group.Rules {
			if r.Alert == "" || r.Expr == "" || r.Labels.Severity == "" || r.Annotations.Summary == "" {
				t.Errorf("alert lacks something: %+v", r)
			}
		}
	}
	if len(alerts.Groups) == 0 {
		t.Error("there are no alerts")
	}
}
