package api_test

import (
	"net/http"
	"strconv"
	"testing"

	v3 "github.com/exoscale/egoscale/v3"
	"github.com/exoscale/egoscale/v3/credentials"
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
