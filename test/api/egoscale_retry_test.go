package api_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"

	v3 "github.com/exoscale/egoscale/v3"
	"github.com/exoscale/egoscale/v3/credentials"

	"github.com/gabion/gabion/internal/server"
)

// losses are the ways in which an answer gets lost.
var losses = []int{0, http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusInternalServerError}

// The SDK sends again what it got a 5xx or 429 for, POST included, with the same
// signature. It must find the change made once, and its first answer.
func TestEgoscaleSendsAgainWhatIsMadeOnce(t *testing.T) {
	t.Parallel()
	r := start(t)
	for _, status := range losses {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			l, ctx := r.lossy(t, status), t.Context()
			c, err := v3.NewClient( // with its own HTTP client, which tries again
				credentials.NewStaticCredentials(r.env["EXOSCALE_API_KEY"], r.env["EXOSCALE_API_SECRET"]),
				v3.ClientOptWithEndpoint(v3.Endpoint(l.url+"/v2")),
			)
			if err != nil {
				t.Fatal(err)
			}
			ok := succeeded(t, c)
			name := "web-" + strconv.Itoa(status)
			group := ok(c.CreateSecurityGroup(ctx, v3.CreateSecurityGroupRequest{Name: name}))
			ok(c.AddRuleToSecurityGroup(ctx, group, request(ssh)))
			g, err := c.GetSecurityGroup(ctx, group)
			if err != nil || g.Name != name || len(g.Rules) != 1 {
				t.Fatalf("the group: got %+v, %v", g, err)
			}
			ok(c.DeleteRuleFromSecurityGroup(ctx, group, g.Rules[0].ID))
			ok(c.DeleteSecurityGroup(ctx, group))
			l.check(t, 4)
		})
	}
}

// Who asks too fast is told to wait, and the SDK does.
func TestEgoscaleWaitsWhenItIsTooFast(t *testing.T) {
	t.Parallel()
	r := startAs(t, func(c *server.Config) { c.RateLimit = 4 }) // 20 at once
	var told atomic.Int32
	way := r.relay(t)
	way.ModifyResponse = func(resp *http.Response) error {
		if resp.StatusCode == http.StatusTooManyRequests {
			told.Add(1)
		}
		return nil
	}
	relay := httptest.NewServer(way)
	t.Cleanup(relay.Close)
	c, err := v3.NewClient(
		credentials.NewStaticCredentials(r.env["EXOSCALE_API_KEY"], r.env["EXOSCALE_API_SECRET"]),
		v3.ClientOptWithEndpoint(v3.Endpoint(relay.URL+"/v2")),
	)
	if err != nil {
		t.Fatal(err)
	}
	const groups = 25
	for i := range groups {
		succeeded(t, c)(c.CreateSecurityGroup(t.Context(), v3.CreateSecurityGroupRequest{Name: "web" + strconv.Itoa(i)}))
	}
	list, err := c.ListSecurityGroups(t.Context())
	if err != nil || len(list.SecurityGroups) != groups+1 {
		t.Errorf("groups: got %v, %v", list, err)
	}
	if told.Load() == 0 {
		t.Error("nobody was told to wait")
	}
}
