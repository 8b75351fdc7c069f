package feed_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gabion/gabion/internal/feed"
)

func TestTracker(t *testing.T) {
	const hv1, hv2 = "hv1", "hv2"
	for name, tt := range map[string]struct {
		story    func(tr feed.Tracker)
		revision int64
		want     []string
	}{
		"nobody concerned":            {func(feed.Tracker) {}, 5, nil},
		"concerned":                   {func(tr feed.Tracker) { tr.Concern(hv1, 5) }, 5, []string{hv1}},
		"both concerned":              {func(tr feed.Tracker) { tr.Concern(hv2, 5); tr.Concern(hv1, 5) }, 5, []string{hv1, hv2}},
		"concerned by an earlier one": {func(tr feed.Tracker) { tr.Concern(hv1, 4) }, 5, nil},
		"concerned by a later one":    {func(tr feed.Tracker) { tr.Concern(hv1, 6) }, 5, nil},
		"enforced":                    {func(tr feed.Tracker) { tr.Concern(hv1, 5); tr.Enforce(hv1, 5) }, 5, nil},
		"enforced later one":          {func(tr feed.Tracker) { tr.Concern(hv1, 5); tr.Enforce(hv1, 9) }, 5, nil},
		"enforced earlier one":        {func(tr feed.Tracker) { tr.Concern(hv1, 5); tr.Enforce(hv1, 4) }, 5, []string{hv1}},
		"enforced before concerned":   {func(tr feed.Tracker) { tr.Enforce(hv1, 4); tr.Concern(hv1, 5) }, 5, []string{hv1}},
		"another host enforced":       {func(tr feed.Tracker) { tr.Concern(hv1, 5); tr.Enforce(hv2, 5) }, 5, []string{hv1}},
		"forgotten":                   {func(tr feed.Tracker) { tr.Forgotten(hv1, 8) }, 5, []string{hv1}},
		"forgotten, enforced since":   {func(tr feed.Tracker) { tr.Forgotten(hv1, 8); tr.Enforce(hv1, 5) }, 5, nil},
		"forgotten, after it":         {func(tr feed.Tracker) { tr.Forgotten(hv1, 8) }, 9, nil},
		"oldest of very many": {func(tr feed.Tracker) {
			for r := range int64(5000) {
				tr.Concern(hv1, r+5)
			}
		}, 5, []string{hv1}},
		"newest of very many": {func(tr feed.Tracker) {
			for r := range int64(5000) {
				tr.Concern(hv1, r+5)
			}
		}, 5004, []string{hv1}},
		"very many enforced": {func(tr feed.Tracker) {
			for r := range int64(5000) {
				tr.Concern(hv1, r+5)
			}
			tr.Enforce(hv1, 5004)
		}, 5004, nil},
	} {
		tr := feed.NewTracker()
		tt.story(tr)
		if diff := cmp.Diff(tt.want, tr.Missing(tt.revision), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
