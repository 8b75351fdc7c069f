package client

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	egoscale "github.com/exoscale/egoscale/v3"
	"github.com/exoscale/egoscale/v3/credentials"
)

const (
	testKey    = "EXO000000000000000000000001"
	testSecret = "not-a-secret"
)

// sentRequest is what a server saw of one request.
type sentRequest struct {
	method, url, body, authorization string
}

// egoscaleRequests are requests as the public SDK signs them: our vectors.
func egoscaleRequests(t *testing.T) []sentRequest {
	t.Helper()
	var sent []sentRequest
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sent = append(sent, sentRequest{r.Method, r.URL.String(), string(body), r.Header.Get("Authorization")})
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(server.Close)
	sdk, err := egoscale.NewClient(credentials.NewStaticCredentials(testKey, testSecret),
		egoscale.ClientOptWithEndpoint(egoscale.Endpoint(server.URL+"/v2")))
	if err != nil {
		t.Fatal(err)
	}
	ctx, id := context.Background(), egoscale.UUID("c19542b7-d269-4bd4-bf7c-2cae36d066d3")
	calls := []func() error{
		func() error { _, err := sdk.GetOperation(ctx, id); return err },
		func() error {
			_, err := sdk.ListSecurityGroups(ctx, egoscale.ListSecurityGroupsWithVisibility("private"))
			return err
		},
		func() error {
			_, err := sdk.CreateSecurityGroup(ctx, egoscale.CreateSecurityGroupRequest{Name: "wéb & <co>", Description: "für \"alle\""})
			return err
		},
		func() error { _, err := sdk.DeleteSecurityGroup(ctx, id); return err },
		func() error {
			_, err := sdk.AddExternalSourceToSecurityGroup(ctx, id,
				egoscale.AddExternalSourceToSecurityGroupRequest{Cidr: "203.0.113.0/24"})
			return err
		},
		func() error {
			_, err := sdk.ListInstances(ctx, egoscale.ListInstancesWithIPAddress("2001:db8::1"),
				egoscale.ListInstancesWithLabels(`a=b&c="d e"`))
			return err
		},
	}
	for i, call := range calls {
		if err := call(); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	return sent
}

func TestSignatureEqualsEgoscales(t *testing.T) {
	for _, want := range egoscaleRequests(t) {
		t.Run(want.method+" "+want.url, func(t *testing.T) {
			if got := signAgain(t, want); got != want.authorization {
				t.Errorf("Authorization\n got %s\nwant %s", got, want.authorization)
			}
		})
	}
}

// signAgain signs the request with our signer, to expire when the original does.
func signAgain(t *testing.T, sent sentRequest) string {
	t.Helper()
	_, rest, found := strings.Cut(sent.authorization, "expires=")
	unix, _, _ := strings.Cut(rest, ",")
	expires, err := strconv.ParseInt(unix, 10, 64)
	if !found || err != nil {
		t.Fatalf("no expiry in %q", sent.authorization)
	}
	var got string
	s := &signer{
		key: testKey, secret: testSecret,
		now: func() time.Time { return time.Unix(expires, 0).Add(-signatureLifetime) },
		next: roundTrip(func(r *http.Request) (*http.Response, error) {
			got = r.Header.Get("Authorization")
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		}),
	}
	req, err := http.NewRequestWithContext(context.Background(), sent.method, "http://host.example"+sent.url, strings.NewReader(sent.body))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.RoundTrip(req); err != nil {
		t.Fatal(err)
	}
	return got
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestSignerPassesTheBodyOnAndLeavesTheRequestAlone(t *testing.T) {
	var body string
	s := &signer{key: testKey, secret: testSecret, now: time.Now, next: roundTrip(func(r *http.Request) (*http.Response, error) {
		b, err := io.ReadAll(r.Body)
		body = string(b)
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, err
	})}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://host.example/v2/x", strings.NewReader(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.RoundTrip(req); err != nil {
		t.Fatal(err)
	}
	if body != `{"a":1}` {
		t.Errorf("server would see body %q", body)
	}
	if h := req.Header.Get("Authorization"); h != "" {
		t.Errorf("the caller's request was changed: Authorization %q", h)
	}
}
