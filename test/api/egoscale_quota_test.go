package api_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSDKsShowQuotas(t *testing.T) {
	r := start(t)
	r.createGroup(t, "web")
	usage := func(quotas map[string]int64) {
		t.Helper()
		want := map[string]int64{
			"security-group": 2, "security-group-rule": 0, "instance-security-group": 0, "instance": 0, "api-key": 1,
		}
		if diff := cmp.Diff(want, quotas); diff != "" {
			t.Errorf("what the organization has (-want +got):\n%s", diff)
		}
	}
	list, err := r.sdk(t).ListQuotas(t.Context())
	if err != nil {
		t.Fatal(explained(err))
	}
	got := map[string]int64{}
	for _, q := range list.Quotas {
		got[q.Resource] = q.Usage
	}
	usage(got)

	older, err := r.legacy(t).ListQuotas(t.Context(), zone)
	if err != nil {
		t.Fatal(err)
	}
	got = map[string]int64{}
	for _, q := range older {
		got[*q.Resource] = *q.Usage
	}
	usage(got)
}
